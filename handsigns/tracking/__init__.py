"""Export of a search to other tools, derived from the journal's records alone."""
