"""What is printed: text made safe, numbers, progress, captured output."""
