"""The wrapper that makes a Lambda handler for a queue out of a function for one message.

It answers warmers, works through the batch, and turns errors into what the queue understands:

- TransientError: the message is reported as failed and comes back.
- PostponedError: a copy of the message is sent to the function's own queue with a delay, and the
  message is acknowledged, since each receive counts towards the dead letter queue.
- PermanentError: the message goes to the dead letter queue with its reason, and is acknowledged.
- Anything else is a bug or an outage: reported as failed, and on the last allowed receive sent to
  the dead letter queue with its reason.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.platform import deadline, log, metrics, tracing
from services.platform.aws import dead_letter
from services.platform.configuration import read, variable
from services.platform.errors import DarkroomError, PermanentError, PostponedError
from services.platform.functions.invocation import (
    Context,
    Handler,
    elapsed_ms,
    handler_ready,
    invocation,
    is_warmer,
)
from services.platform.metrics import Metric
from services.platform.tracing import TRACEPARENT, Kind

# A message is not started with less than this left: it would be cut in the middle.
START_RESERVE_MS = 1_000

# On a message that was postponed: how often.
POSTPONED = "postponed"
# With the longest delay of SQS these are two and a half days: a quota of 24 hours is free again
# before. After that the message fails like any other.
POSTPONED_MAX = 250
DELAY_SECONDS_MAX = 900


class MessageOutcome(StrEnum):
    """What became of one delivery of a message."""

    SUCCESS = "success"
    RETRY = "retry"
    """It failed, and comes back."""
    DEAD_LETTER = "dead_letter"
    POSTPONED = "postponed"
    """A copy of it comes later, as if it had not been received."""


@dataclass(frozen=True)
class Message:
    """One message of the batch. `receive_count` is 1 at the first delivery; `last_receive` tells
    that the queue will not deliver it again; `deadline` is when the invocation ends, in seconds of
    `time.monotonic`; `replayed`, that a person sent it back after it had failed for good;
    `attributes` are the sender's texts and numbers, by name; `first_received_at` is the first
    delivery by the clock of SQS, in seconds since 1970."""

    id: str
    body: str
    receive_count: int
    last_receive: bool
    deadline: float
    replayed: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    first_received_at: float | None = None

    def seconds_left(self) -> float:
        return self.deadline - time.monotonic()


@dataclass(frozen=True)
class QueueConfiguration:
    """Where failed messages go. The host of the function sets it, not the manifest."""

    dead_letter_queue_url: str | None = variable(
        "DEAD_LETTER_QUEUE_URL", default=None, help="URL of the function's dead letter queue"
    )
    max_receive_count: int = variable(
        "MAX_RECEIVE_COUNT", default=5, minimum=1, help="receives before a message is dead"
    )
    queue_url: str | None = variable(
        "QUEUE_URL", default=None, help="URL of the queue, if the function sends to it itself"
    )


def queue_function(work: Callable[[Message], None]) -> Handler:
    """A Lambda handler that gives each message of an SQS batch to `work`.

    Answers `{"batchItemFailures": [...]}`, and `{"warm": true}` to a warmer. Raises
    ConfigurationError at once when the environment is wrong, so that initialisation fails.
    """
    configuration = read(QueueConfiguration, os.environ)
    handler_ready()
    logger = log.logger()

    def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
        if is_warmer(event):
            return {"warm": True}
        with (
            invocation(context, Kind.CONSUMER, _contexts(event)) as ending,
            deadline.invocation(context.get_remaining_time_in_millis()),
        ):
            return process(event, context, ending)

    def process(event: dict[str, Any], context: Context, ending: dict[str, Any]) -> dict[str, Any]:
        failures = []
        ends_at = time.monotonic() + context.get_remaining_time_in_millis() / 1000
        found = records(event)
        of_invocation = log.fields()
        for record in found:
            message = _message(record, configuration, ends_at)
            began = time.monotonic()
            log.clear()
            log.bind(**of_invocation, message_id=message.id, attempt=message.receive_count)
            _record_receipt(record, message)
            with _message_span(record, context, alone=len(found) == 1):
                if (correlation_id := attached(record, log.CORRELATION_ID)) is not None:
                    log.correlate(correlation_id)
                outcome = MessageOutcome.RETRY
                if message.seconds_left() * 1000 < START_RESERVE_MS:
                    logger.warning(
                        "message_not_started", reason="too little time left in the invocation"
                    )
                else:
                    outcome = _process_message(message, record, work, configuration, context)
            if outcome is MessageOutcome.RETRY:
                failures.append(message.id)
            if outcome in (MessageOutcome.RETRY, MessageOutcome.DEAD_LETTER):
                metrics.record(Metric.FAILED_EVENTS, outcome=outcome.value)
            if len(found) == 1:
                # The invocation's last line is that of its only message.
                ending["outcome"] = outcome.value
            else:
                logger.info(
                    "message_completed", duration_ms=elapsed_ms(began), outcome=outcome.value
                )
        if len(found) != 1:
            log.clear()
            log.bind(**of_invocation)
            ending |= {"messages": len(found), "failures": len(failures)}
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failures]}

    return handler


def _contexts(event: Any) -> Iterator[str]:
    """The W3C contexts of the messages. Not evaluated without tracing."""
    for record in records(event):
        if context := attached(record, TRACEPARENT):
            yield context


def _message_span(
    record: Mapping[str, Any], context: Context, *, alone: bool
) -> AbstractContextManager[None]:
    """A span for the message, unless it is the only one of the invocation."""
    if alone or not tracing.enabled():
        return nullcontext()
    return tracing.message(f"{context.function_name} message", attached(record, TRACEPARENT) or "")


def records(event: Any) -> list[dict[str, Any]]:
    """The SQS records of a Lambda event. Raises PermanentError for any other event."""
    found = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(found, list) or any(
        not isinstance(r, dict) or r.get("eventSource") != "aws:sqs" for r in found
    ):
        raise PermanentError(
            'expected an SQS event ({"Records": [{"eventSource": "aws:sqs", ...}]}) or a warmer '
            '({"warmer": true}), got keys '
            f"{sorted(event) if isinstance(event, dict) else type(event).__name__}"
        )
    return found


def _message(
    record: Mapping[str, Any], configuration: QueueConfiguration, ends_at: float
) -> Message:
    system = record.get("attributes", {})
    receives = int(system.get("ApproximateReceiveCount", 1))
    received_ms = system.get("ApproximateFirstReceiveTimestamp")
    attributes = record.get("messageAttributes", {})
    return Message(
        id=record["messageId"],
        body=record["body"],
        receive_count=receives,
        last_receive=receives >= configuration.max_receive_count,
        deadline=ends_at,
        replayed=dead_letter.REPLAYED in attributes,
        attributes={n: a["stringValue"] for n, a in attributes.items() if "stringValue" in a},
        first_received_at=None if received_ms is None else float(received_ms) / 1000,
    )


def _record_receipt(record: Mapping[str, Any], message: Message) -> None:
    if message.receive_count > 1:
        metrics.record(Metric.RETRIES)
        return
    if POSTPONED in message.attributes:
        return  # its wait was wanted
    sent_ms = record.get("attributes", {}).get("SentTimestamp")
    if sent_ms is not None:
        metrics.record(Metric.QUEUE_WAIT, max(0, round(time.time() * 1000 - float(sent_ms))))


def attached(record: Mapping[str, Any], name: str) -> str | None:
    """What the sender attached by this name: a message attribute, an attribute of the SNS
    notification in the body, or a field of a workflow's task."""
    attribute = record.get("messageAttributes", {}).get(name)
    if attribute is not None:
        return attribute.get("stringValue") or None
    body = record["body"]
    if f'"{name}"' not in body:
        return None
    try:
        document = json.loads(body)
        found = document.get(name)
        if found is None:
            found = document["MessageAttributes"][name]["Value"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) and found else None


def _process_message(
    message: Message,
    record: Mapping[str, Any],
    work: Callable[[Message], None],
    configuration: QueueConfiguration,
    context: Context,
) -> MessageOutcome:
    logger = log.logger()
    try:
        work(message)
    except Exception as error:
        if isinstance(error, PostponedError) and _postponed(record, message, error, configuration):
            return MessageOutcome.POSTPONED
        # Errors of the domain need no traceback.
        logger.warning(
            "message_failed",
            error_type=type(error).__name__,
            reason=str(error),
            exc_info=not isinstance(error, DarkroomError),
        )
        dead = isinstance(error, PermanentError) or message.last_receive
        if not dead or configuration.dead_letter_queue_url is None:
            return MessageOutcome.RETRY
        kept = _keep_as_dead_letter(
            record, message, error, configuration.dead_letter_queue_url, context
        )
        return MessageOutcome.DEAD_LETTER if kept else MessageOutcome.RETRY
    return MessageOutcome.SUCCESS


def _postponed(
    record: Mapping[str, Any],
    message: Message,
    error: PostponedError,
    configuration: QueueConfiguration,
) -> bool:
    """Sends a copy of the message to the queue, with a delay. Returns whether it did; if it did
    not, the message fails."""
    count = int(message.attributes.get(POSTPONED, "0")) + 1
    if configuration.queue_url is None or count > POSTPONED_MAX:
        return False
    import random

    from services.platform.aws.clients import client  # only this pays for an SQS client

    logger = log.logger()
    longest = min(max(error.seconds, 2.0 ** min(count, 10)), DELAY_SECONDS_MAX)
    delay = math.ceil(longest * random.uniform(0.7, 1))  # noqa: S311  jitter
    system = record.get("attributes", {})
    options: dict[str, Any] = {}
    if group := system.get("MessageGroupId"):
        options["MessageGroupId"] = group
    if header := system.get("AWSTraceHeader"):
        trace = {"DataType": "String", "StringValue": header}
        options["MessageSystemAttributes"] = {"AWSTraceHeader": trace}
    try:
        with deadline.reserve():
            client("sqs").send_message(
                QueueUrl=configuration.queue_url,
                MessageBody=record["body"],
                DelaySeconds=delay,
                MessageAttributes={
                    **dead_letter.from_record(record),
                    POSTPONED: {"DataType": "Number", "StringValue": str(count)},
                },
                **options,
            )
    except Exception:
        logger.warning("message_postpone_failed", exc_info=True)
        return False
    logger.info("message_postponed", reason=str(error), delay_seconds=delay, postponements=count)
    return True


def _keep_as_dead_letter(
    record: Mapping[str, Any],
    message: Message,
    error: Exception,
    queue_url: str,
    context: Context,
) -> bool:
    from services.platform.aws.clients import client  # only failures pay for an SQS client

    logger = log.logger()
    try:
        with deadline.reserve():
            client("sqs").send_message(
                QueueUrl=queue_url,
                MessageBody=record["body"],
                MessageAttributes=dead_letter.attributes(
                    reason=str(error),
                    error_type=type(error).__name__,
                    request_id=context.aws_request_id,
                    attempts=message.receive_count,
                    function=context.function_name,
                    sender=dead_letter.from_record(record),
                    body=record["body"],
                ),
            )
    except Exception:
        logger.warning("dead_letter_send_failed", exc_info=True)
        return False
    logger.error("dead_letter_sent", error_type=type(error).__name__, reason=str(error))
    return True
