"""Deciding: what is tried and when to stop; Optuna, no Ray."""
