"""Lambda's contract for SQS batches: the function's event, and the meaning of its result.

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

# Room in an event for the queue's ARN, the region and the commas between records.
_RECORD_OVERHEAD_BYTES = 2048
# No character takes more bytes than this as escaped JSON.
_MAX_BYTES_PER_CHARACTER = 6
_TRACE_ATTRIBUTE = "AWSTraceHeader"


@dataclass(frozen=True, eq=False)
class Message:
    """A received message: SQS's document, and the fields that the worker uses. Two deliveries of
    one message are two different messages here."""

    id: str
    receipt_handle: str
    receive_count: int
    document: Mapping[str, Any]

    @property
    def body(self) -> str:
        return str(self.document.get("Body", ""))


@dataclass(frozen=True)
class Failure:
    """Why a message was not processed."""

    error_type: str
    reason: str


def message(document: Mapping[str, Any]) -> Message:
    """A message of an SQS ReceiveMessage result."""
    return Message(
        id=document["MessageId"],
        receipt_handle=document["ReceiptHandle"],
        receive_count=int(document.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        document=document,
    )


def event(messages: Sequence[Message], queue_arn: str, region: str) -> bytes:
    """The event as Lambda composes it, JSON."""
    return _json({"Records": [_record(m, queue_arn, region) for m in messages]})


def trace_header(messages: Sequence[Message]) -> str:
    """The X-Ray trace header of the batch, as its first message was sent with; else empty."""
    return str(messages[0].document.get("Attributes", {}).get(_TRACE_ATTRIBUTE, ""))


def _json(document: Any) -> bytes:
    # SQS's JSON may hold half of a surrogate pair, which UTF-8 cannot.
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


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
    # Almost every batch fits by far: an upper bound saves encoding each record twice.
    if sum(_largest_size(m) for m in messages) <= MAX_PAYLOAD_BYTES:
        if messages:
            yield tuple(messages)
        return
    part: list[Message] = []
    size = 0
    for item in messages:
        needs = len(_json(_record(item, "", ""))) + _RECORD_OVERHEAD_BYTES
        if part and size + needs > MAX_PAYLOAD_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(item)
        size += needs
    if part:
        yield tuple(part)


def _largest_size(item: Message) -> int:
    characters = len(item.body)
    for name, value in item.document.get("MessageAttributes", {}).items():
        characters += len(name) + sum(len(part) for part in value.values()) + 128
    return _MAX_BYTES_PER_CHARACTER * characters + _RECORD_OVERHEAD_BYTES


def failures(messages: Sequence[Message], invocation: Invocation) -> dict[str, Failure]:
    """The messages that failed, by id, and why. The others succeeded.

    As Lambda with ReportBatchItemFailures: with no result, `{}`, or a missing, null or empty list
    all messages succeeded; a list of known ids fails those; any other result fails the whole
    batch, because messages that are deleted by mistake are lost.
    """
    if invocation.outcome is not Outcome.SUCCESS:
        return _all(messages, invocation.error_type, invocation.error_message)
    try:
        result = json.loads(invocation.payload or b"null")
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        return _all(messages, "MalformedResponse", "the function's result is not JSON")
    if result is None:
        return {}
    if not isinstance(result, dict):
        return _all(messages, "MalformedResponse", "the function's result is not an object")
    reported = result.get("batchItemFailures")
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
