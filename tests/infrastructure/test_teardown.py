"""`destroy` removes everything. Runs last, since all other files need the lab."""

from __future__ import annotations

import pytest

from tests.infrastructure.conftest import Applied
from tests.infrastructure.inventory import inventory


@pytest.mark.slow
def test_destroy_removes_every_resource(applied: Applied) -> None:
    applied_inventory = inventory(applied.environment.cloud)
    assert applied_inventory != applied.before
    assert applied_inventory["lambda list_functions"]
    assert applied_inventory["ecr describe_repositories"]
    # To read every resource of the state again takes as long as to delete it.
    applied.lab.destroy(refresh=False)
    applied.registry.destroy()
    assert inventory(applied.environment.cloud) == applied.before
