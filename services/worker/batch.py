"""Lambda's contract for SQS batches: the event a function gets, and what its answer means.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.runtime.execution import Invocation, Outcome
from services.runtime.runtime_api import MAX_PAYLOAD_BYTES

# Room in an event for what surrounds the bodies of its records.
_RECORD_OVERHEAD_BYTES = 2048


@dataclass(frozen=True, eq=False)
class Message:
    """A received message: SQS's own document, and what the worker needs of it at hand. Two
    deliveries of one message are two of these."""

    id: str
    receipt_handle: str
    receive_count: int
    document: Mapping[str, Any]

    @property
    def body(self) -> str:
        return str(self.document.get("Body", ""))


@dataclass(frozen=True)
class Failure:
    """Why a message's work was not done."""

    error_type: str
    reason: str


def message(document: Mapping[str, Any]) -> Message:
    """A message of an SQS ReceiveMessage answer."""
    return Message(
        id=document["MessageId"],
        receipt_handle=document["ReceiptHandle"],
        receive_count=int(document.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        document=document,
    )


def event(messages: Sequence[Message], queue_arn: str, region: str) -> bytes:
    """The event as Lambda composes it, JSON."""
    records = [_record(m, queue_arn, region) for m in messages]
    return json.dumps({"Records": records}, ensure_ascii=False, separators=(",", ":")).encode()


def _record(item: Message, queue_arn: str, region: str) -> dict[str, Any]:
    document = item.document
    record = {
        "messageId": item.id,
        "receiptHandle": item.receipt_handle,
        "body": item.body,
        "attributes": document.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in document.get("MessageAttributes", {}).items()
        },
        "md5OfBody": document.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }
    if "MD5OfMessageAttributes" in document:
        record["md5OfMessageAttributes"] = document["MD5OfMessageAttributes"]
    return record


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value.get("DataType", "String"),
    }
    if "StringValue" in value:
        converted["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        converted["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode("ascii")
    return converted


def parts(messages: Sequence[Message]) -> Iterator[tuple[Message, ...]]:
    """`messages` in as few batches as fit Lambda's payload limit each, in order."""
    # No character takes more than six bytes in JSON: almost every batch fits without a closer look.
    if sum(6 * len(m.body) + _RECORD_OVERHEAD_BYTES for m in messages) <= MAX_PAYLOAD_BYTES:
        if messages:
            yield tuple(messages)
        return
    part: list[Message] = []
    size = 0
    for item in messages:
        # As JSON, not as text: quotes and control characters grow when they are escaped.
        needs = len(json.dumps(item.body, ensure_ascii=False).encode()) + _RECORD_OVERHEAD_BYTES
        if part and size + needs > MAX_PAYLOAD_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(item)
        size += needs
    if part:
        yield tuple(part)


def failures(messages: Sequence[Message], invocation: Invocation) -> dict[str, Failure]:
    """The messages that failed, by id, and why. The others succeeded.

    As Lambda with ReportBatchItemFailures: no answer, `{}`, a missing, null or empty list is
    success of all; a list of known ids fails those; everything that cannot be understood fails
    the whole batch, since deleting on a misunderstanding would lose work.
    """
    if invocation.outcome is not Outcome.SUCCESS:
        return _all(messages, invocation.error_type, invocation.error_message)
    try:
        answer = json.loads(invocation.payload or b"null")
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        return _all(messages, "MalformedResponse", "the function's answer is not JSON")
    if answer is None:
        return {}
    if not isinstance(answer, dict):
        return _all(messages, "MalformedResponse", "the function's answer is not an object")
    reported = answer.get("batchItemFailures")
    if reported is None:
        return {}
    if not isinstance(reported, list):
        return _all(messages, "MalformedResponse", "batchItemFailures is not a list")
    known = {m.id for m in messages}
    failed: dict[str, Failure] = {}
    for item in reported:
        identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
        if not isinstance(identifier, str) or identifier not in known:
            return _all(
                messages,
                "MalformedResponse",
                f"batchItemFailures names no message of the batch: {item!r:.200}",
            )
        failed[identifier] = Failure("BatchItemFailure", "the function reported it as failed")
    return failed


def _all(messages: Sequence[Message], error_type: str, reason: str) -> dict[str, Failure]:
    failure = Failure(error_type, reason)
    return {m.id: failure for m in messages}
