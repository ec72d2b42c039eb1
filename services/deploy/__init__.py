"""Releases: new versions get a share of the calls first, and all of them if no alarm fires."""
