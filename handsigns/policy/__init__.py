"""Search policy: which configurations are tried and when the search stops (Optuna, no Ray)."""
