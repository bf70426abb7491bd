"""A search as it runs: live, or watched from another shell."""
