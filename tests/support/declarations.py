"""The lab's declarations, read once for all tests of a process."""

from __future__ import annotations

import functools

from services.local import topology
from services.local.state import PROJECT
from services.local.topology import Topology
from services.platform import manifest
from services.platform.manifest import Feature, Manifest


@functools.cache
def lab_topology() -> Topology:
    return topology.load(PROJECT / "terraform" / "lab" / "topology.yaml")


@functools.cache
def manifests(*features: Feature) -> tuple[Manifest, ...]:
    """The functions of these features, without what the features need; all functions by default."""
    return tuple(
        item
        for item in manifest.load_all(PROJECT / "images")
        if not features or item.feature in features
    )
