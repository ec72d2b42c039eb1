"""The heartbeat."""

from __future__ import annotations

from typing import cast

from services.worker.leases import Leases
from services.worker.sqs import BatchResult, Queue, QueueUnavailableError
from tests.support.clock import Clock
from tests.unit.worker.fakes import FakeQueue, received


def leases(queue: FakeQueue, clock: Clock) -> Leases:
    return Leases(cast(Queue, queue), 30, clock)


def test_a_lease_is_renewed_after_a_third_of_it() -> None:
    queue, clock = FakeQueue(), Clock()
    held = leases(queue, clock)
    held.hold([received("a")])
    clock.now += 9.9
    held.renew_due()
    assert queue.changed == []
    clock.now += 0.2
    held.renew_due()
    held.renew_due()
    assert queue.changed == [{"a": 30}]
    clock.now += 10
    held.renew_due()
    assert queue.changed == [{"a": 30}] * 2


def test_the_whole_batch_is_renewed_ten_at_a_time() -> None:
    queue, clock = FakeQueue(), Clock()
    held = leases(queue, clock)
    held.hold([received(str(n)) for n in range(25)])
    clock.now += 11
    held.renew_due()
    assert [len(changed) for changed in queue.changed] == [10, 10, 5]
    assert len({name for changed in queue.changed for name in changed}) == 25


def test_a_failed_renewal_is_due_again() -> None:
    queue, clock = FakeQueue(), Clock()
    held = leases(queue, clock)
    a, b = received("a"), received("b")
    held.hold([a, b])
    clock.now += 11
    queue.script["change"] = [QueueUnavailableError("gone")]
    held.renew_due()
    queue.script["change"] = [BatchResult(again=(b,), stale=())]
    held.renew_due()
    held.renew_due()
    assert [set(changed) for changed in queue.changed] == [{"a", "b"}, {"a", "b"}, {"b"}]


def test_a_lost_lease_is_not_renewed_again() -> None:
    queue, clock = FakeQueue(), Clock()
    held = leases(queue, clock)
    a, b = received("a"), received("b")
    held.hold([a, b])
    clock.now += 11
    queue.script["change"] = [BatchResult(again=(), stale=(a,))]
    held.renew_due()
    clock.now += 11
    held.renew_due()
    assert [set(changed) for changed in queue.changed] == [{"a", "b"}, {"b"}]


def test_a_released_message_is_not_renewed() -> None:
    queue, clock = FakeQueue(), Clock()
    held = leases(queue, clock)
    a, b = received("a"), received("b")
    held.hold([a, b])
    held.release([a])
    clock.now += 11
    held.renew_due()
    assert queue.changed == [{"b": 30}]
