"""Charges orders once and refunds them once, through a payment provider."""
