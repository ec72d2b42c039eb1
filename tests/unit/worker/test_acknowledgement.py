"""Acknowledgement of batches, with a queue that works and one that fails."""

from __future__ import annotations

from typing import cast

import pytest

from services.worker import acknowledgement
from services.worker.acknowledgement import Acknowledger, RetryPolicy
from services.worker.batch import Failure, Message
from services.worker.leases import Leases
from services.worker.sqs import BatchResult, Queue, QueueRefusedError, QueueUnavailableError
from services.worker.stopping import Stop
from tests.unit.worker.fakes import FakeQueue, received

WHY = Failure("ValueError", "why")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acknowledgement, "RETRY_BASE_SECONDS", 0.001)


def acknowledger(queue: FakeQueue, stop: Stop | None = None, base: int = 4) -> Acknowledger:
    typed = cast(Queue, queue)
    rules = RetryPolicy(
        "developer", max_receive_count=3, backoff_base_seconds=base, backoff_cap_seconds=9
    )
    return Acknowledger(typed, Leases(typed, 30), rules, stop or Stop())


def acknowledge(queue: FakeQueue, messages: list[Message], *failed: str) -> None:
    acknowledger(queue).acknowledge(messages, dict.fromkeys(failed, WHY), "request")


def test_success_is_deleted_in_tens() -> None:
    queue = FakeQueue()
    acknowledge(queue, [received(str(n)) for n in range(23)])
    assert [len(call) for call in queue.deleted] == [10, 10, 3]
    assert queue.changed == []


def test_failures_come_back_later_by_receive_count() -> None:
    queue = FakeQueue()
    acknowledge(
        queue, [received("first", 1), received("second", 2), received("fine")], "first", "second"
    )
    assert queue.deleted == [["fine"]]
    (changed,) = queue.changed
    assert 2 <= changed["first"] <= 4
    assert 4 <= changed["second"] <= 8
    assert queue.dead == []


def test_the_last_allowed_receive_makes_a_dead_letter() -> None:
    queue = FakeQueue()
    acknowledge(queue, [received("last", 3), received("beyond", 7), received("more", 2)],
           "last", "beyond", "more")  # fmt: skip
    assert queue.dead == [
        ("last", WHY, "request", "developer"),
        ("beyond", WHY, "request", "developer"),
    ]
    assert queue.deleted == [["last"], ["beyond"]]
    assert [list(changed) for changed in queue.changed] == [["more"]]


def test_without_a_dead_letter_queue_the_redrive_policy_does_it() -> None:
    queue = FakeQueue(keeps_dead_letters=False)
    acknowledge(queue, [received("last", 3)], "last")
    assert queue.deleted == []
    assert [list(changed) for changed in queue.changed] == [["last"]]


def test_a_dead_letter_that_is_refused_stays_in_its_queue() -> None:
    queue = FakeQueue()
    queue.script["dead"] = [QueueRefusedError("too long")]
    acknowledge(queue, [received("last", 3)], "last")
    assert queue.deleted == []
    assert [list(changed) for changed in queue.changed] == [["last"]]


def test_a_dead_letter_is_sent_again_when_the_queue_was_away() -> None:
    queue = FakeQueue()
    queue.script["dead"] = [QueueUnavailableError("gone"), QueueUnavailableError("gone")]
    acknowledge(queue, [received("last", 3)], "last")
    assert len(queue.dead) == 1
    assert queue.deleted == [["last"]]


def test_a_deletion_is_tried_until_it_works() -> None:
    queue = FakeQueue()
    a, b = received("a"), received("b")
    queue.script["delete"] = [
        QueueUnavailableError("gone"),
        QueueRefusedError("no permission yet"),
        BatchResult(again=(b,), stale=()),
    ]
    acknowledge(queue, [a, b])
    assert queue.deleted == [["a", "b"], ["a", "b"], ["a", "b"], ["b"]]


def test_a_stale_receipt_is_not_tried_again() -> None:
    queue = FakeQueue()
    a, b = received("a"), received("b")
    queue.script["delete"] = [BatchResult(again=(), stale=(a,))]
    acknowledge(queue, [a, b])
    assert queue.deleted == [["a", "b"]]


def test_force_leaves_one_last_try() -> None:
    queue = FakeQueue()
    queue.script["delete"] = [QueueUnavailableError("gone")] * 3
    stop = Stop()
    stop.force()
    acknowledger(queue, stop).acknowledge([received("a")], {}, "request")
    assert len(queue.deleted) == 1


def test_handing_back_is_at_once() -> None:
    queue = FakeQueue()
    acknowledger(queue).hand_back([received(str(n)) for n in range(12)], WHY)
    assert [set(changed.values()) for changed in queue.changed] == [{0}, {0}]
    assert sum(map(len, queue.changed)) == 12


def test_settled_messages_are_renewed_no_more() -> None:
    queue = FakeQueue()
    typed = cast(Queue, queue)
    leases = Leases(typed, 3, clock=lambda: 0.0)
    messages = [received("a"), received("b")]
    leases.hold(messages)
    rules = RetryPolicy("developer", 3, 4, 9)
    Acknowledger(typed, leases, rules, Stop()).acknowledge(messages, {"b": WHY}, "request")
    queue.changed.clear()
    late = Leases(typed, 3, clock=lambda: 100.0)
    late._renew_at = leases._renew_at
    late.renew_due()
    assert queue.changed == []


def test_hand_back_on_last_receive_sends_a_dead_letter_with_the_reason() -> None:
    queue = FakeQueue()
    acknowledger(queue).hand_back([received("last", 3), received("more", 2)], WHY)
    assert queue.dead == [("last", WHY, "", "developer")]
    assert queue.deleted == [["last"]]
    assert queue.changed == [{"more": 0}]


def test_hand_back_on_last_receive_without_dead_letter_queue_returns_the_message() -> None:
    queue = FakeQueue(keeps_dead_letters=False)
    acknowledger(queue).hand_back([received("last", 3)], WHY)
    assert queue.changed == [{"last": 0}]


def test_hand_back_when_the_dead_letter_queue_refuses_returns_the_message() -> None:
    queue = FakeQueue()
    queue.script["dead"] = [QueueRefusedError("no permission")]
    acknowledger(queue).hand_back([received("last", 3)], WHY)
    assert queue.changed == [{"last": 0}]
