"""The search: Ray runs the trials, Optuna chooses them, ASHA stops them, a journal records."""
