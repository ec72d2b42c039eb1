"""The embedded cloud, and whole labs, for the tests that need real ones."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.local import emulator as emulators
from services.local import lab as labs
from services.local import postgres as servers
from services.local.aws_session import LocalSession
from services.local.provision import Lab, provision
from services.local.state import LabState
from services.platform.manifest import Feature
from tests.support.declarations import lab_topology, manifests


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
