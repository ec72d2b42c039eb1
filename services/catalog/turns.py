"""Turns of owners: the many photos of one owner must not hold up another's one.

Every owner has a clock in the catalogue's table, which each photo moves on by the time that its
development takes of the owner's share. While the clock is less than AHEAD_SECONDS ahead, photos
are developed at once. The message of a photo beyond that is sent to the queue again, with a delay
until its turn, and with the owner as its message group: SQS delivers messages of other groups
first (fair queues), an emulator does not.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from services.catalog.store import Catalog, expression_values, item_key
from services.events.cloudevents import message_group
from services.platform import log
from services.platform.aws.items import from_item
from services.platform.errors import TransientError
from services.platform.functions.sqs import Message

AHEAD_SECONDS = 1.0
TURNS_ITEM = "turns"
# When it is the turn of a message's photo, and the pace that this was reckoned with; in seconds.
TURN_ATTRIBUTE, PACE_ATTRIBUTE = "turn", "pace"
# The maximum of SQS: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
DELAY_SECONDS_MAX = 900
# A clock that no photo moves on for so long is behind the time, and as good as none.
CLOCK_SECONDS = 24 * 3600
# A longer delay is waited for in halves, so that it can follow the pace.
_HALVED_SECONDS = 60
# What a photo is assumed to take in a new process.
_SECONDS_ASSUMED = 0.5
# The weight of the newest photo in the moving average, once there are some.
_NEWEST = 0.2
_ATTEMPTS = 4


@dataclass
class Pace:
    """Seconds that a photo takes in this process, as a moving average."""

    seconds: float = _SECONDS_ASSUMED
    clock: Callable[[], float] = time.monotonic
    photos: int = 0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measures the development of a photo."""
        began = self.clock()
        yield
        self.photos += 1
        weight = max(_NEWEST, 1 / (self.photos + 1))
        self.seconds += weight * (self.clock() - began - self.seconds)


@dataclass(frozen=True)
class OwnerTurns:
    """Gives photos their turn. `environments` is the share of one owner: the number of execution
    environments that the photos of an owner who has many keep busy. `sqs` makes the client, which
    few invocations need."""

    catalog: Catalog
    sqs: Callable[[], Any]
    queue_url: str
    environments: float
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = time.time

    def postpone(self, owner: str, message: Message) -> bool:
        """Sends the message to the queue again if it is not the turn of its photo; returns whether
        it did. A message that was received before has had its turn."""
        if message.receive_count > 1 or message.replayed:
            return False
        # SQS has one clock. That of an environment which is fast would make the owner wait for so
        # long as it is ahead.
        now = message.first_received_at or self.clock()
        if TURN_ATTRIBUTE in message.attributes:
            turn, pace = (float(message.attributes[n]) for n in (TURN_ATTRIBUTE, PACE_ATTRIBUTE))
            turn = now + (turn - now) * self.pace.seconds / pace
        else:
            turn = self._turn(owner, now)
        delay = turn - now - AHEAD_SECONDS
        if delay < 1:
            return False
        if delay > _HALVED_SECONDS:
            delay = max(delay / 2, _HALVED_SECONDS)
        self.sqs().send_message(
            QueueUrl=self.queue_url,
            MessageBody=message.body,
            DelaySeconds=min(math.ceil(delay), DELAY_SECONDS_MAX),
            MessageGroupId=message_group(owner),
            MessageAttributes={
                name: {"DataType": "Number", "StringValue": f"{value:.3f}"}
                for name, value in (
                    (TURN_ATTRIBUTE, turn),
                    (PACE_ATTRIBUTE, max(self.pace.seconds, 0.001)),
                )
            },
            **_trace(),
        )
        log.logger().info("photo_postponed", delay_seconds=round(delay, 1))
        return True

    def _turn(self, owner: str, seconds: float) -> float:
        """Moves the owner's clock on by one photo; returns where it was, at least at `seconds`."""
        now = round(seconds * 1000)
        step = max(1, round(self.pace.seconds / self.environments * 1000))
        for _ in range(_ATTEMPTS):
            # One of the two conditions holds, unless another photo comes in between.
            after = self._move(
                owner, ":now + :step", "attribute_not_exists(turn_at) OR turn_at <= :now", now, step
            ) or self._move(owner, "turn_at + :step", "turn_at > :now", now, step)
            if after is not None:
                return (after - step) / 1000
        raise TransientError(f"the turns of owner {owner} change too fast")

    def _move(self, owner: str, to: str, condition: str, now: int, step: int) -> int | None:
        """Moves the owner's clock, in milliseconds; returns it, None if `condition` does not
        hold."""
        dynamodb = self.catalog.dynamodb
        try:
            answer = dynamodb.update_item(
                TableName=self.catalog.table,
                Key=item_key(owner, TURNS_ITEM),
                UpdateExpression=f"SET turn_at = {to}, expires_at = :expires",
                ConditionExpression=condition,
                ExpressionAttributeValues=expression_values(
                    now=now, step=step, expires=now // 1000 + CLOCK_SECONDS
                ),
                ReturnValues="UPDATED_NEW",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return int(from_item(answer["Attributes"])["turn_at"])


def _trace() -> dict[str, Any]:
    """The X-Ray trace of the invocation, so that it continues in the message's next one."""
    header = os.environ.get("_X_AMZN_TRACE_ID")
    if not header:
        return {}
    value = {"DataType": "String", "StringValue": header}
    return {"MessageSystemAttributes": {"AWSTraceHeader": value}}
