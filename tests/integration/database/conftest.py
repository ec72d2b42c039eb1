"""A Postgres server for these tests, which stop and restart it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.local import postgres as servers
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator, free_port
from tests.integration.database.support import start
from tests.support.postgres import FreshDatabase, fresh_database


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[servers.Postgres]]:
    """A server of these tests' own, for they stop it; the one that runs now is in the list."""
    running = [servers.start(tmp_path_factory.mktemp("server"), free_port())]
    yield running
    servers.stop(running[0])


@pytest.fixture
def fresh(server: list[servers.Postgres], cloud: Emulator) -> Iterator[FreshDatabase]:
    if server[0].process.poll() is not None:
        start(server)
    made = fresh_database(server[0], LocalSession(cloud.endpoint))
    yield made
    made.close()
    if server[0].process.poll() is None:
        made.drop()
