"""Pictures: formats, splits, packing, and the drawn hands."""
