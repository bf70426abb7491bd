"""From stored results to tables; imports neither torch nor Ray."""
