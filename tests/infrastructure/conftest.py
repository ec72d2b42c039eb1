"""A lab that Terraform made on an emulator, once for all tests: an apply takes its minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure import terraform
from tests.infrastructure.ground import Ground, ground
from tests.infrastructure.inventory import inventory
from tests.infrastructure.terraform import Terraform


@dataclass(frozen=True)
class Applied:
    """The lab and the registry as Terraform made them; `before` is what was there before."""

    ground: Ground
    lab: Terraform
    registry: Terraform
    output: dict[str, Any]
    before: dict[str, list[str]]


@pytest.fixture(scope="package")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    folder: Path = tmp_path_factory.mktemp("ministack")
    tree = terraform.copy(tmp_path_factory.mktemp("terraform"))
    # Rights are checked as on AWS; whoever is nobody else is the account's root, and may all.
    with ground(folder, iam_enforced=True) as standing:
        aws = standing.cloud.environment
        before = inventory(standing.cloud)
        registry = terraform.root(
            tree, "registry", aws, {"target": "ministack", "force_delete": True}
        )
        registry.apply()
        lab = terraform.root(tree, "lab", aws, standing.variables("ministack"))
        lab.apply()
        yield Applied(standing, lab, registry, lab.output(), before)
