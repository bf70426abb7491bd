"""One module for each command: its summary, an example, its arguments, and what it does."""
