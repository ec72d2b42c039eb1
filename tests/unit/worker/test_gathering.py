"""A batch, gathered as Lambda gathers it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from services.platform.manifest import QueueTrigger
from services.worker.leases import Leases
from services.worker.poller import gather
from services.worker.sqs import Queue, QueueUnavailableError
from tests.support.clock import Clock
from tests.unit.worker.fakes import FakeQueue, received


def some(count: int, prefix: str = "m") -> list[Any]:
    return [received(f"{prefix}{n}") for n in range(count)]


def gathered(
    queue: FakeQueue, clock: Clock, size: int, window: int = 0, draining: bool = False
) -> list[str]:
    trigger = QueueTrigger(
        batch_size=size,
        batch_window_seconds=window,
        maximum_concurrency=2,
        max_receive_count=3,
        sources=(),
    )
    typed = cast(Queue, queue)
    return [m.id for m in gather(typed, Leases(typed, 30), trigger, lambda: draining, clock)]


def test_without_a_window_one_receive_is_a_batch() -> None:
    queue = FakeQueue([some(3)])
    assert gathered(queue, Clock(), 10) == ["m0", "m1", "m2"]
    assert queue.receives == [(10, 30, None)]


def test_no_more_is_asked_for_than_a_batch_holds() -> None:
    queue = FakeQueue([some(4)])
    assert len(gathered(queue, Clock(), 4, window=5)) == 4
    assert queue.receives == [(4, 30, None)]


def test_an_empty_poll_opens_no_window() -> None:
    queue = FakeQueue([[]])
    assert gathered(queue, Clock(), 100, window=5) == []
    assert len(queue.receives) == 1


def test_the_window_fills_a_batch_over_several_receives() -> None:
    queue = FakeQueue([some(10, "a"), some(10, "b"), some(5, "c")])
    assert len(gathered(queue, Clock(), 25, window=5)) == 25
    assert [maximum for maximum, _, _ in queue.receives] == [10, 10, 5]


def test_the_window_ends() -> None:
    clock = Clock()
    queue = FakeQueue([some(2), []], clock)
    assert len(gathered(queue, clock, 25, window=5)) == 2
    assert queue.receives[1:] == [(10, 30, 5)]


def test_a_long_window_is_polled_in_pieces_that_sqs_takes() -> None:
    clock = Clock()
    queue = FakeQueue([some(1), [], []], clock)
    gathered(queue, clock, 25, window=50)
    assert [wait for _, _, wait in queue.receives] == [None, 20, 20, 10]


def test_without_a_window_a_large_batch_takes_what_is_there() -> None:
    queue = FakeQueue([some(10, "a"), some(10, "b"), some(3, "c")])
    assert len(gathered(queue, Clock(), 100)) == 23
    assert [wait for _, _, wait in queue.receives] == [None, 0, 0]


def test_of_a_message_that_comes_twice_the_newer_receipt_counts() -> None:
    queue = FakeQueue([[received("m", receipt="old")], [received("m", receipt="new")], []])
    trigger = QueueTrigger(20, 1, 2, 3, ())
    typed = cast(Queue, queue)
    clock = Clock()
    queue.clock = clock
    (only,) = gather(typed, Leases(typed, 30), trigger, lambda: False, clock)
    assert only.receipt_handle == "new"


def test_a_queue_that_goes_away_within_the_window_leaves_a_batch() -> None:
    queue = FakeQueue([some(2)])
    queue.script["receive"] = [None, QueueUnavailableError("gone")]
    assert len(gathered(queue, Clock(), 25, window=5)) == 2


def test_a_queue_that_is_away_is_told() -> None:
    queue = FakeQueue()
    queue.script["receive"] = [QueueUnavailableError("gone")]
    with pytest.raises(QueueUnavailableError):
        gathered(queue, Clock(), 25)


def test_draining_ends_the_window() -> None:
    queue = FakeQueue([some(2)])
    assert len(gathered(queue, Clock(), 25, window=300, draining=True)) == 2
    assert len(queue.receives) == 1


def test_gather_message_twice_in_one_receive_keeps_only_the_newer_lease() -> None:
    queue = FakeQueue([[received("m", receipt="old"), received("m", receipt="new")]])
    typed = cast(Queue, queue)
    clock = Clock()
    leases = Leases(typed, 30, clock)
    (only,) = gather(typed, leases, QueueTrigger(10, 0, 2, 3, ()), lambda: False, clock)
    assert only.receipt_handle == "new"
    leases.release([only])
    clock.now += 60
    leases.renew_due()
    assert queue.changed == []
