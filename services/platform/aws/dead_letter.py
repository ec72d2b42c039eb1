"""The SQS message attributes of a dead letter: why it failed, and what its sender had attached.

The queue wrapper (permanent errors) and the worker (crashes, timeouts) write them; the operator's
tools read them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from services.platform import timestamps

REASON: Final = "reason"
ERROR_TYPE: Final = "error_type"
REQUEST_ID: Final = "request_id"
ATTEMPTS: Final = "attempts"
FUNCTION: Final = "function"
FAILED_AT: Final = "failed_at"
NAMES: Final = (REASON, ERROR_TYPE, REQUEST_ID, ATTEMPTS, FUNCTION, FAILED_AT)
# The sender's attributes as JSON, if they do not fit beside those above.
SENDER: Final = "sender_attributes"
# On a message that an operator replayed: the number of replays and the id of the dead letter.
REPLAYED: Final = "replayed"

REASON_MAX_CHARACTERS: Final = 1024
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
ATTRIBUTES_MAX: Final = 10
# The limit of every queue of a lab, for body and attributes together.
MESSAGE_BYTES_MAX: Final = 262_144

Attributes = Mapping[str, Mapping[str, Any]]
"""Attribute name to `DataType` and `StringValue` or `BinaryValue` (bytes), as boto3 takes them."""


def attributes(
    reason: str,
    error_type: str,
    request_id: str,
    attempts: int,
    function: str,
    failed_at: datetime | None = None,
    *,
    sender: Attributes | None = None,
    body: str = "",
) -> dict[str, dict[str, Any]]:
    """`MessageAttributes` for SQS SendMessage; `failed_at` is now unless given.

    Keeps the attributes of the `sender`: as they are if all fit into SQS's limit of ten and none
    has a name of ours, otherwise as JSON in one attribute. Shortens the reason so that the message
    with this `body` does not exceed SQS's size limit.

    SQS refuses empty values and most control characters, so an empty text becomes "unknown" and
    refused characters become "?":
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    """
    texts = {
        ERROR_TYPE: error_type,
        REQUEST_ID: request_id,
        FUNCTION: function,
        FAILED_AT: timestamps.format_utc(failed_at or datetime.now(UTC)),
    }
    found: dict[str, dict[str, Any]] = {
        **{name: _text(value) for name, value in texts.items()},
        ATTEMPTS: {"DataType": "Number", "StringValue": str(attempts)},
        **_kept(sender or {}),
    }
    room = MESSAGE_BYTES_MAX - len(body.encode(errors="replace")) - _bytes(found)
    room -= _bytes({REASON: _text("")}) - len("unknown")
    return {REASON: _text(_fitted(reason, room)), **found}


def sender_attributes(letter: Attributes) -> dict[str, dict[str, Any]]:
    """The attributes that the sender had attached, from those of a dead letter.

    A letter that SQS moved by itself has no attributes of ours, only the sender's.
    """
    if not is_explained(letter):
        return {name: _clean(value) for name, value in letter.items()}
    found = {n: _clean(v) for n, v in letter.items() if n not in (*NAMES, SENDER)}
    packed = letter.get(SENDER, {}).get("StringValue")
    if packed is not None:
        found |= {name: _unpacked(value) for name, value in json.loads(packed).items()}
    return found


def is_explained(letter: Attributes) -> bool:
    """Whether a function or a worker wrote the attributes of the dead letter."""
    return all(name in letter for name in NAMES)


def from_record(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The message attributes of an SQS record in a Lambda event, as boto3 takes them."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in record.get("messageAttributes", {}).items():
        found[name] = {"DataType": value.get("dataType", "String")}
        if value.get("binaryValue") is not None:
            found[name]["BinaryValue"] = base64.b64decode(value["binaryValue"])
        else:
            found[name]["StringValue"] = value.get("stringValue", "")
    return found


def replay_count(sender: Attributes) -> int:
    """How often an operator replayed the message that has these attributes."""
    text = sender.get(REPLAYED, {}).get("StringValue")
    if text is None:
        return 0
    count = text.partition(" ")[0]
    return int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 1


def replay_attribute(count: int, message_id: str) -> dict[str, Any]:
    """The attribute of a message that is replayed for the `count`-th time."""
    return _text(f"{count} {message_id}")


def _kept(sender: Attributes) -> dict[str, dict[str, Any]]:
    fits = len(sender) + len(NAMES) <= ATTRIBUTES_MAX
    if fits and not any(name in sender for name in (*NAMES, SENDER)):
        return {name: _clean(value) for name, value in sender.items()}
    packed = {name: _packed(value) for name, value in sender.items()}
    return {SENDER: _text(json.dumps(packed, separators=(",", ":")))}


def _clean(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without the empty lists that SQS returns and refuses."""
    return {
        name: value[name] for name in ("DataType", "StringValue", "BinaryValue") if name in value
    }


def _packed(value: Mapping[str, Any]) -> list[str]:
    if "BinaryValue" in value:
        return [value["DataType"], "", base64.b64encode(value["BinaryValue"]).decode()]
    return [value["DataType"], value["StringValue"]]


def _unpacked(value: list[str]) -> dict[str, Any]:
    if len(value) == 3:
        return {"DataType": value[0], "BinaryValue": base64.b64decode(value[2])}
    return {"DataType": value[0], "StringValue": value[1]}


def _bytes(found: Attributes) -> int:
    """What the attributes add to the size of a message: names, types and values."""
    total = 0
    for name, value in found.items():
        content = value.get("BinaryValue", value.get("StringValue", ""))
        size = len(content) if isinstance(content, bytes) else len(content.encode())
        total += len(name.encode()) + len(value["DataType"]) + size
    return total


def _fitted(text: str, room_bytes: int) -> str:
    """`text` in at most REASON_MAX_CHARACTERS characters and `room_bytes` bytes of UTF-8."""
    text = _accepted(text)
    if len(text) <= REASON_MAX_CHARACTERS and len(text.encode()) <= room_bytes:
        return text
    cut = text[: REASON_MAX_CHARACTERS - 1].encode()[: max(0, room_bytes - len("…".encode()))]
    return cut.decode(errors="ignore") + "…"


def _text(text: str) -> dict[str, Any]:
    return {"DataType": "String", "StringValue": _accepted(text)}


def _accepted(text: str) -> str:
    """`text` in the characters that SQS takes: #x9 #xA #xD #x20-#xD7FF #xE000-#xFFFD and up."""
    accepted = "".join(
        c
        if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
        else "?"
        for c in text
    )
    return accepted or "unknown"
