"""Terminal output: sanitising, number formats, tables, progress, captured output."""
