"""Procedural sample photos for the demo, the tests and the load test."""
