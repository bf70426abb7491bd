"""Live progress of a search: in its own terminal, or followed from another shell."""
