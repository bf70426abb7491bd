"""Result files of a search: only this package reads and writes them. No torch, Ray or Optuna."""
