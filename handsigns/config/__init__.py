"""What a user asks for: search spaces, trials and studies, typed and checked."""
