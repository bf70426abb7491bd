"""The winner: retrained, tested once, ready to classify."""
