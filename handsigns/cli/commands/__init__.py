"""Commands, one module each: summary, example, arguments and `run`."""
