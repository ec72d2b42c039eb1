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
from services.local import topology
from services.local.aws_session import LocalSession
from services.local.provision import Lab, provision
from services.local.state import PROJECT, LabState
from services.platform import manifest


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
    """Fresh buckets, tables, topics and queues, as the manifests want them."""
    session = LocalSession(cloud.endpoint)
    made = provision(
        session,
        topology.load(PROJECT / "terraform" / "lab" / "topology.yaml"),
        manifest.load_all(PROJECT / "images"),
        prefix=f"t{uuid.uuid4().hex[:8]}",
    )
    return Provisioned(session, made)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    """A whole running lab: emulator, mailbox and the real workers."""
    root: Path = tmp_path_factory.mktemp("lab")
    yield labs.up(root)
    labs.down(root)
