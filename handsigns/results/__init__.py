"""What a search has written, read and written by this package alone; no torch, Ray or Optuna."""
