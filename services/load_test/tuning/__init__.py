"""Chooses the memory of a function by measurement."""
