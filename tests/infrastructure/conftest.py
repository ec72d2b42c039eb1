"""A lab that Terraform created on an emulator, shared by most tests: an apply takes minutes."""

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
from tests.infrastructure.environment import LabEnvironment, lab_environment
from tests.infrastructure.inventory import inventory
from tests.infrastructure.terraform import Terraform

# What creates its own lab, or none: xdist may run it in parallel to all other tests, which share
# one lab and run in the order of their names.
OWN_LAB = ("test_idle_costs.py", "test_localstack.py", "test_photos_only.py")
LAB_EACH = ("test_deploy.py",)


class ByLab(LoadScopeScheduling):  # type: ignore[misc]
    """Runs tests that share a lab in one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        if file in LAB_EACH:
            return nodeid
        return file if file in OWN_LAB else "applied"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByLab:
    return ByLab(config, log)


@dataclass(frozen=True)
class Applied:
    """The lab and the registry after `apply`; `before` is the account's inventory before it."""

    environment: LabEnvironment
    lab: Terraform
    registry: Terraform
    output: dict[str, Any]
    before: dict[str, list[str]]


@pytest.fixture(scope="package")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    folder: Path = tmp_path_factory.mktemp("ministack")
    tree = terraform.copy(tmp_path_factory.mktemp("terraform"))
    # The emulator enforces IAM; the tests themselves act as the root of the account.
    with lab_environment(folder, iam_enforced=True, address=gateway_address()) as environment:
        aws = environment.cloud.variables
        before = inventory(environment.cloud)
        registry = terraform.root(
            tree, "registry", aws, {"target": "ministack", "force_delete": True}
        )
        registry.apply()
        lab = terraform.root(tree, "lab", aws, environment.variables("ministack"))
        lab.apply()
        yield Applied(environment, lab, registry, lab.output(), before)


def gateway_address() -> str:
    """The address at which containers reach this machine; loopback without a local engine."""
    try:
        address = Engine.connect().gateway_address
    except NoEngineError:
        return LOOPBACK
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return LOOPBACK  # the engine runs on another machine
    return address
