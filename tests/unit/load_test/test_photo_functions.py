"""The functions that a load test in containers starts."""

from __future__ import annotations

import pytest

from services.load_test.containers import TOPOLOGY, photo_functions
from services.local import topology
from services.local.state import PROJECT
from services.platform.manifest import load_all


@pytest.mark.parametrize(
    ("recipe", "functions"),
    [
        ("standard", {"process-image", "send-image-email"}),
        ("compact", {"process-image", "send-image-email", "add-avif"}),
    ],
)
def test_add_avif_is_started_where_the_recipe_has_avif(recipe: str, functions: set[str]) -> None:
    loaded = topology.load(TOPOLOGY).with_recipe(recipe)
    started = photo_functions(loaded, load_all(PROJECT / "images"))
    assert {manifest.name for manifest in started} == functions
