"""Pixels only: a photo's bytes in, renditions and facts out. No AWS, no database.

This package imports nothing on its own: take `develop` from `services.imaging.develop` and the
types from `services.imaging.model` (standard library only).
"""
