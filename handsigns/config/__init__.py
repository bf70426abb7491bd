"""Configuration: search spaces, trials and searches, typed and validated."""
