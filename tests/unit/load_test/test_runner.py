"""Standstill and faults, as a run sees them."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from services.load_test import runner
from services.load_test.observations import Depth
from services.load_test.plan import SETTLED_BETWEEN_KILLS, Plan
from services.load_test.runner import Killer, Sample, _Progress
from services.platform.errors import TransientError
from tests.support.waiting import scaled

SILENCE = ReadTimeoutError(endpoint_url="http://localstack")


def sample(settled: int) -> Sample:
    return Sample(0.0, 3, settled, {"process-image": Depth(1, 0)})


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_progress_without_change_is_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    progress = _Progress(100.0)
    progress.note(sample(1))
    clock.now = 90.0
    progress.note(sample(2))
    clock.now = 180.0
    progress.note(sample(2))
    assert not progress.stalled
    clock.now = 191.0
    assert progress.stalled


def test_progress_without_answers_raises_after_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    progress = _Progress(100.0)
    clock.now = 99.0
    progress.note_error(SILENCE)
    clock.now = 101.0
    with pytest.raises(TransientError, match=r"not answered for 100 s .* try a lower one"):
        progress.note_error(SILENCE)


_SETTLED = itertools.count(SETTLED_BETWEEN_KILLS, SETTLED_BETWEEN_KILLS)


class Victims:
    """A load-test target whose workers fail as given, until one succeeds."""

    def __init__(self, killer_stops_after: int) -> None:
        self.draws: list[float] = []
        self.enough = threading.Event()
        self.wanted = killer_stops_after

    def kill(self, draw: float) -> str:
        self.draws.append(draw)
        if len(self.draws) >= self.wanted:
            self.enough.set()
        return "process-image-1"


def photos_settled_at_once() -> int:
    """Each look finds enough new photos settled."""
    return next(_SETTLED)


def plan(*, kill_every_seconds: float = 0.0, faults_after: int = 0) -> Plan:
    return Plan(
        "run", 10, 1.0, 1, True, None, Path("folder"),
        faults_after=faults_after, kill_every_seconds=kill_every_seconds,
    )  # fmt: skip


def test_killer_until_stopped_kills_workers() -> None:
    victims: Any = Victims(3)
    killer = Killer(plan(kill_every_seconds=0.01), victims, photos_settled_at_once)
    thread = threading.Thread(target=killer.run)
    thread.start()
    assert victims.enough.wait(scaled(10))
    killer.stop()
    thread.join(scaled(10))
    assert not thread.is_alive()
    assert len(killer.kills) == len(victims.draws) >= 3
    assert all(0 <= draw < 1 for draw in victims.draws)


def test_killer_at_maximum_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "KILLS_MAX", 4)
    victims: Any = Victims(1)
    killer = Killer(plan(), victims, photos_settled_at_once)
    killer.run()
    assert len(killer.kills) == 4


def test_killer_waits_for_the_photos_before_the_first_kill() -> None:
    victims: Any = Victims(1)
    counts = iter([10, 90, 99, 100])

    def settled() -> int:
        count = next(counts)
        if count == 100:
            killer.stop()
        return count

    killer = Killer(plan(faults_after=100), victims, settled)
    killer.run()
    assert len(killer.kills) == 1


def test_killer_too_few_photos_settled_waits() -> None:
    victims: Any = Victims(1)
    counts = iter([0, 2, 3, 4, 5, 6])

    def settled() -> int:
        count = next(counts)
        if count == 6:
            killer.stop()
        return count

    killer = Killer(plan(), victims, settled)
    killer.run()
    assert len(killer.kills) == 2  # at 3 and at 6
