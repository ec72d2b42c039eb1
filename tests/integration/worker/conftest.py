"""One emulator for all tests of the worker; a queue with its dead letters for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from services.local import emulator as emulators
from tests.integration.worker.support import (
    Queues,
    RunningWorker,
    client,
    make_queues,
    worker,
    write_function,
)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    with emulators.running(tmp_path_factory.mktemp("emulator") / "emulator.log") as running:
        yield running


@pytest.fixture
def queues(emulator: emulators.Emulator, request: pytest.FixtureRequest) -> Queues:
    name = re.sub(r"[^A-Za-z0-9_-]", "-", request.node.name)[:60]
    return make_queues(client(emulator.endpoint), name)


Start = Callable[..., AbstractContextManager[RunningWorker]]


@pytest.fixture
def start(emulator: emulators.Emulator, queues: Queues, tmp_path: Path) -> Start:
    """Starts a worker: `with start(handler_text, batch_size=10, WORKER_CONCURRENCY=2) as it:`."""

    def started(
        handler: str, *, await_start: bool = True, endpoint: str | None = None, **options: Any
    ) -> AbstractContextManager[RunningWorker]:
        variables = {name: value for name, value in options.items() if name.isupper()}
        function = {name: value for name, value in options.items() if not name.isupper()}
        folder = write_function(tmp_path / "tested-function", handler, **function)
        return worker(
            folder,
            queues,
            endpoint or emulator.endpoint,
            tmp_path / "worker.log",
            await_start=await_start,
            **variables,
        )

    return started
