"""Reports and tables of a search, generated from its files alone."""
