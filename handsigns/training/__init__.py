"""One trial's training: augmentation, optimiser, epochs, checkpoints. No Ray in here."""
