"""Photos of an owner who has many wait for their turn; other owners' photos do not."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest

from services.catalog.turns import AHEAD_SECONDS, TURN_ATTRIBUTE, TURNS_ITEM, OwnerTurns, Pace
from services.events.cloudevents import message_group
from services.platform.aws.items import from_item
from services.platform.functions.sqs import Message
from tests.integration.process_image.support import OWNER, RED, Environment
from tests.support.clock import Clock

# Photos of a second each that an owner with one environment may send before one is postponed.
AT_ONCE = int(AHEAD_SECONDS) + 1


@pytest.fixture
def clock() -> Clock:
    return Clock(float(int(time.time())))


@pytest.fixture
def turns(environment: Environment, clock: Clock) -> OwnerTurns:
    """A share of one environment, where a photo takes a second."""
    return _turns(environment, clock, environments=1.0)


def _turns(environment: Environment, clock: Clock, environments: float) -> OwnerTurns:
    return OwnerTurns(
        environment.catalog,
        lambda: environment.sqs,
        environment.queue,
        environments,
        Pace(1.0),
        clock,
    )


def message(body: str = "{}", receive_count: int = 1, **attributes: str) -> Message:
    return Message("m", body, receive_count, False, time.monotonic() + 60, False, attributes)


def delayed(environment: Environment) -> int:
    answer = environment.sqs.get_queue_attributes(
        QueueUrl=environment.queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessagesDelayed"])


def test_many_photos_of_an_owner_wait_and_anothers_do_not(
    environment: Environment, turns: OwnerTurns
) -> None:
    postponed = [turns.postpone(OWNER, message()) for _ in range(AT_ONCE + 4)]
    assert postponed == [False] * AT_ONCE + [True] * 4
    assert not turns.postpone("ben", message())
    assert delayed(environment) == 4


def test_owner_who_waited_starts_again_at_once(turns: OwnerTurns, clock: Clock) -> None:
    assert [turns.postpone(OWNER, message()) for _ in range(AT_ONCE + 2)].count(True) == 2
    clock.now += AT_ONCE + 2
    assert not any(turns.postpone(OWNER, message()) for _ in range(AT_ONCE))


def test_shares_of_more_environments_are_used_up_later(
    environment: Environment, clock: Clock
) -> None:
    turns = _turns(environment, clock, environments=4.0)
    assert not any(turns.postpone(OWNER, message()) for _ in range(int(4 * AHEAD_SECONDS)))


def test_postponed_message_has_its_turn_owner_and_body(
    environment: Environment, turns: OwnerTurns, clock: Clock, sent: list[dict[str, Any]]
) -> None:
    for _ in range(AT_ONCE):
        turns.postpone(OWNER, message())
    assert turns.postpone(OWNER, message("the body"))
    (call,) = sent
    assert call["MessageBody"] == "the body"
    assert call["MessageGroupId"] == message_group(OWNER)
    assert call["DelaySeconds"] == 1
    assert call["MessageAttributes"][TURN_ATTRIBUTE]["StringValue"] == f"{clock.now + AT_ONCE:.3f}"


def test_message_with_a_turn_takes_no_other_one(turns: OwnerTurns, clock: Clock) -> None:
    for _ in range(AT_ONCE):
        turns.postpone(OWNER, message())
    assert not turns.postpone(OWNER, message(turn=f"{clock.now + AHEAD_SECONDS}", pace="1"))
    assert turns.postpone(OWNER, message(turn=f"{clock.now + 2000}", pace="1"))


def test_delay_beyond_the_maximum_of_sqs_is_waited_for_in_parts(
    turns: OwnerTurns, clock: Clock, sent: list[dict[str, Any]]
) -> None:
    turns.postpone(OWNER, message(turn=f"{clock.now + 2000}", pace="1"))
    assert sent[0]["DelaySeconds"] == 900
    assert sent[0]["MessageAttributes"][TURN_ATTRIBUTE]["StringValue"] == f"{clock.now + 2000:.3f}"


def test_message_that_was_received_before_is_not_postponed(turns: OwnerTurns) -> None:
    for _ in range(8):
        turns.postpone(OWNER, message())
    assert not turns.postpone(OWNER, message(receive_count=2))


def test_fast_clock_of_an_environment_makes_no_owner_wait(
    environment: Environment, turns: OwnerTurns, clock: Clock
) -> None:
    received = dataclasses.replace(message(), first_received_at=clock.now)
    fast = _turns(environment, Clock(clock.now + 240), environments=1.0)
    assert not fast.postpone(OWNER, received)
    assert not turns.postpone(OWNER, received)


def test_clock_expires(environment: Environment, turns: OwnerTurns, clock: Clock) -> None:
    turns.postpone(OWNER, message())
    key = {"owner": {"S": OWNER}, "item": {"S": TURNS_ITEM}}
    item = environment.catalog.dynamodb.get_item(TableName=environment.catalog.table, Key=key)
    assert from_item(item["Item"])["expires_at"] > clock.now


def test_postponed_photo_is_developed_when_its_message_comes_back(
    environment: Environment, turns: OwnerTurns, clock: Clock
) -> None:
    for _ in range(AT_ONCE):
        turns.postpone(OWNER, message())
    body = environment.upload(f"{OWNER}/u1/red.jpg", RED)
    processor = dataclasses.replace(environment.processor, turns=turns)
    processor.handle(message(body))
    assert environment.images() == []
    assert delayed(environment) == 1
    processor.handle(message(body, turn=f"{clock.now + 1}", pace="1"))
    (image,) = environment.images()
    assert image["status"]["S"] == "developed"


def test_pace_follows_the_photos() -> None:
    ticks = iter([0.0, 2.0, 10.0, 11.0])
    pace = Pace(clock=lambda: next(ticks))
    assert pace.seconds == 0.5
    with pace.measured():
        pass
    assert pace.seconds == pytest.approx(1.25)
    with pace.measured():
        pass
    assert pace.seconds == pytest.approx(3.5 / 3)


def test_long_delay_is_waited_for_in_halves_that_follow_the_pace(
    turns: OwnerTurns, clock: Clock, sent: list[dict[str, Any]]
) -> None:
    turn = clock.now + 200 + AHEAD_SECONDS
    assert turns.postpone(OWNER, message(turn=f"{turn}", pace="1"))
    assert sent[0]["DelaySeconds"] == 100
    # Photos are quicker than was reckoned: 201 s of waiting become 40.2, less AHEAD_SECONDS.
    assert turns.postpone(OWNER, message(turn=f"{turn}", pace="5"))
    assert sent[1]["DelaySeconds"] == 40


@pytest.fixture
def sent(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The messages that are sent, which arrive all the same."""
    calls: list[dict[str, Any]] = []
    send: Callable[..., Any] = environment.sqs.send_message

    def recorded(**arguments: Any) -> Any:
        calls.append(arguments)
        return send(**arguments)

    monkeypatch.setattr(environment.sqs, "send_message", recorded)
    return calls
