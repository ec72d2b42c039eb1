"""A lab that Terraform made on an emulator, once for all tests: an apply takes its minutes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from services.local.emulator import LOOPBACK
from tests.containers.engine import Engine, NoEngineError
from tests.infrastructure import terraform
from tests.infrastructure.ground import Ground, ground
from tests.infrastructure.inventory import inventory
from tests.infrastructure.terraform import Terraform

# In processes side by side (xdist) these may run beside all others, which share one lab and go by
# their files' order: each makes a lab of its own.
ON_THEIR_OWN = ("test_deploy.py", "test_localstack.py")


class ByLab(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        return file if file in ON_THEIR_OWN else "applied"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByLab:
    return ByLab(config, log)


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
    with ground(folder, iam_enforced=True, address=gateway_address()) as standing:
        aws = standing.cloud.environment
        before = inventory(standing.cloud)
        registry = terraform.root(
            tree, "registry", aws, {"target": "ministack", "force_delete": True}
        )
        registry.apply()
        lab = terraform.root(tree, "lab", aws, standing.variables("ministack"))
        lab.apply()
        yield Applied(standing, lab, registry, lab.output(), before)


def gateway_address() -> str:
    """Where containers find this machine, when it has an engine of its own; loopback without."""
    try:
        address = Engine.connect().gateway_address
    except NoEngineError:
        return LOOPBACK
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return LOOPBACK  # of a machine that the engine runs on beside this one
    return address
