"""The end of an invocation, for the thread that handles it."""

from __future__ import annotations

import math
import threading

from services.platform import deadline
from tests.support.waiting import scaled


def test_seconds_left_outside_an_invocation_is_infinite() -> None:
    assert deadline.seconds_left() == math.inf


def test_seconds_left_keeps_the_reserve() -> None:
    with deadline.invocation(10_000):
        assert 0 < deadline.seconds_left() <= 10 - deadline.RESERVE_SECONDS
        with deadline.reserve():
            assert deadline.seconds_left() > 10 - deadline.RESERVE_SECONDS - 5
    assert deadline.seconds_left() == math.inf


def test_overlapping_invocations_of_two_threads_leave_no_deadline() -> None:
    """The first one to begin ends first: its end must not restore the other one's deadline."""
    entered, leave = threading.Event(), threading.Event()
    after: list[float] = []

    def other() -> None:
        with deadline.invocation(1_000):
            entered.set()
            leave.wait(scaled(30))
        after.append(deadline.seconds_left())

    with deadline.invocation(5_000):
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait(scaled(30))
    assert deadline.seconds_left() == math.inf
    leave.set()
    thread.join(scaled(30))
    assert after == [math.inf]
    assert deadline.seconds_left() == math.inf
