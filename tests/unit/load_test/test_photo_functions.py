"""The functions that a load test in containers starts."""

from __future__ import annotations

import pytest

from services.load_test.containers import TOPOLOGY, photo_functions
from services.local import topology


@pytest.mark.parametrize(
    ("recipe", "functions"),
    [
        ("standard", {"process-image", "send-image-email"}),
        ("compact", {"process-image", "send-image-email", "add-avif"}),
    ],
)
def test_add_avif_is_started_where_the_recipe_has_avif(recipe: str, functions: set[str]) -> None:
    loaded = topology.load(TOPOLOGY).with_recipe(recipe)
    assert set(photo_functions(loaded)) == functions
