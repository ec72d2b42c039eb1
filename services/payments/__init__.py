"""Takes money once, and gives it back once."""
