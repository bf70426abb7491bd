"""Pages and tables of a search, from its files alone."""
