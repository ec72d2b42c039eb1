"""Exports: a customer's data as one JSON document."""
