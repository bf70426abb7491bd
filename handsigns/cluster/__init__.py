"""Ray itself: where trials can run."""
