"""Training of one trial: augmentation, optimiser, epochs and checkpoints, independent of Ray."""
