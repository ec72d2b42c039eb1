"""The embedded cloud, and whole labs, for the tests that need real ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from services.local import emulator as emulators
from services.local import lab as labs
from services.local import postgres as servers
from services.local.aws_session import LocalSession
from services.local.provision import Lab, provision
from services.local.state import LabState
from services.platform.manifest import Feature
from tests.support.declarations import lab_topology, manifests

# Files whose tests use a running lab. Those of a group run in one process, on one lab: starting one
# and its functions takes as long as fifty tests.
ON_ONE_LAB = (
    (
        "api/test_authorization.py",
        "api/test_order_commands.py",
        "api/test_orders.py",
        "api/test_payment_webhooks.py",
        "security/test_abuse.py",
        "security/test_connections.py",
    ),
    (
        "api/test_account_commands.py",
        "api/test_console.py",
        "api/test_correlation.py",
        "api/test_customer.py",
        "api/test_event_stream.py",
        "api/test_image_commands.py",
        "api/test_logs.py",
        "api/test_session_commands.py",
        "api/test_unsubscribe.py",
        "api/test_webhooks.py",
        "integration/test_dead_letters.py",
    ),
)


class ByLab(LoadFileScheduling):  # type: ignore[misc]
    """Distributes files, and the files of a group as one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        for group in ON_ONE_LAB:
            if file.endswith(group):
                return group[0]
        return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByLab:
    return ByLab(config, log)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    """One emulator for all tests that bring their own resources."""
    with emulators.running(tmp_path_factory.mktemp("cloud") / "emulator.log") as running:
        yield running


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Postgres]:
    """One Postgres for all tests that bring their own database (tests.support.postgres)."""
    with servers.running(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@dataclass(frozen=True)
class Provisioned:
    """A lab's resources without any worker."""

    session: LocalSession
    lab: Lab


@pytest.fixture
def provisioned(cloud: emulators.Emulator) -> Provisioned:
    """Fresh buckets, tables and topics, and the queues of the photo functions."""
    session = LocalSession(cloud.endpoint)
    made = provision(
        session,
        lab_topology(),
        manifests(Feature.PHOTOS),
        prefix=f"t{uuid.uuid4().hex[:8]}",
    )
    return Provisioned(session, made)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    """A whole running lab: emulator, mailbox and the real workers."""
    root: Path = tmp_path_factory.mktemp("lab")
    yield labs.up(root)
    labs.down(root)
