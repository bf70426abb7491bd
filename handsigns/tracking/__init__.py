"""Telling other tools of a search: what they know is made from the journal's records alone."""
