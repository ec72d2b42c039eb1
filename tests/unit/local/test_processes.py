"""Child processes: restarts with back-off, and their environment."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from services.local import processes
from services.local.processes import Child
from services.platform.errors import TransientError


def ended(code: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    process.wait()
    return process


def child(spawn: processes.Spawn, process: subprocess.Popen[bytes]) -> Child:
    return Child("part", Path("part.log"), spawn, process, time.monotonic())


def test_revive_failed_spawn_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    outcomes: list[Exception | None] = [
        TransientError("pre-existing shared memory block"), OSError(28, "No space left"), None
    ]  # fmt: skip
    alive = subprocess.Popen(["sleep", "60"])

    def spawn() -> subprocess.Popen[bytes]:
        error = outcomes.pop(0)
        if error is not None:
            raise error
        return alive

    part = child(spawn, ended(1))
    seen = []
    for _ in range(200):
        part.revive()
        seen.append(part.last_error)
        clock[0] += 0.1
    assert outcomes == []
    assert part.process is alive
    assert part.restarts == 1
    assert "pre-existing shared memory block" in seen
    assert any("No space left" in error for error in seen)
    alive.kill()
    alive.wait()


def test_revive_waits_longer_after_each_quick_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    starts: list[float] = []
    dead = ended(1)

    def spawn() -> subprocess.Popen[bytes]:
        starts.append(clock[0])
        return dead

    part = child(spawn, dead)
    while clock[0] < 140:
        part.revive()
        clock[0] += 0.05
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(starts)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] <= processes.LAST_RESTART_SECONDS + 0.2
    assert len(starts) < 12


def test_revive_killed_process_is_restarted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    killed = subprocess.Popen(["sleep", "60"])
    killed.kill()
    killed.wait()
    part = child(lambda: killed, killed)
    part.revive()
    clock[0] += processes.FIRST_RESTART_SECONDS
    part.revive()
    assert part.restarts == 1
    assert part.last_error == "killed by signal 9"


def test_children_write_bytecode_and_have_no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("LANG", "C.UTF-8")
    inherited = processes.inherited_environment()
    assert inherited["LANG"] == "C.UTF-8"
    assert inherited.keys().isdisjoint({"PYTHONDONTWRITEBYTECODE", "AWS_PROFILE"})
