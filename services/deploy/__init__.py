"""Releases: new versions get a share of the calls first, and all of them when no alarm minds."""
