"""How many of a lab's processes start at the same time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.local.processes import spawner
from services.local.start_limit import StartLimit

SLOW_START = "import time; time.sleep(0.4); print('environment_started', flush=True)"
HANGING_START = "import time; time.sleep(60)"


@contextmanager
def started(limit: StartLimit, folder: Path, *codes: str) -> Iterator[list[float]]:
    """Starts a process for each code; yields when each one was started, in seconds."""
    began = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    times: list[float] = []
    try:
        for number, code in enumerate(codes):
            log = folder / f"{number}.log"
            spawn = spawner([sys.executable, "-c", f"{code}\nimport time; time.sleep(60)"], {}, log)
            processes.append(limit.spawn(spawn, log))
            times.append(time.monotonic() - began)
        yield times
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_start_beyond_the_limit_waits_until_another_has_started(tmp_path: Path) -> None:
    with started(StartLimit(2), tmp_path, SLOW_START, SLOW_START, SLOW_START) as times:
        assert times[1] < 0.4 <= times[2]


def test_start_ignores_the_log_of_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "0.log").write_text("environment_started\n")
    with started(StartLimit(1), tmp_path, SLOW_START, SLOW_START) as times:
        assert times[1] >= 0.4


@pytest.mark.parametrize("end", ["print('init_failed', flush=True)", "raise SystemExit(1)"])
def test_start_that_fails_gives_its_turn_to_the_next(tmp_path: Path, end: str) -> None:
    with started(StartLimit(1, turn_seconds=60), tmp_path, end, SLOW_START) as times:
        assert times[1] < 30


def test_start_that_hangs_gives_its_turn_to_the_next_after_a_while(tmp_path: Path) -> None:
    limit = StartLimit(1, turn_seconds=0.3)
    with started(limit, tmp_path, HANGING_START, SLOW_START) as times:
        assert 0.3 <= times[1] < 30


def test_start_that_waits_gives_up_when_the_lab_is_to_stop(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop() -> None:
        raise StopError

    with (
        pytest.raises(StopError),
        started(StartLimit(1, stop), tmp_path, HANGING_START, SLOW_START),
    ):
        pass
