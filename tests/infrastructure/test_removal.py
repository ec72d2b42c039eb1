"""`destroy` leaves nothing. The last of the package's files, since the others need the lab."""

from __future__ import annotations

import pytest

from tests.infrastructure.conftest import Applied
from tests.infrastructure.inventory import inventory


@pytest.mark.slow
def test_destroy_leaves_nothing(applied: Applied) -> None:
    there = inventory(applied.ground.cloud)
    assert there != applied.before
    assert there["lambda list_functions"]
    assert there["ecr describe_repositories"]
    applied.lab.destroy()
    applied.registry.destroy()
    assert inventory(applied.ground.cloud) == applied.before
