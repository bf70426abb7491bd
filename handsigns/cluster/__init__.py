"""Ray cluster: starting or joining it, its nodes and how trials share them."""
