"""The attributes of a dead letter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from services.platform.aws import dead_letter


def test_attributes_explain_the_failure() -> None:
    moment = datetime(2026, 1, 2, 4, 4, 5, 6000, tzinfo=timezone(timedelta(hours=1)))
    found = dead_letter.attributes("why", "ValueError", "r-1", 3, "developer", moment)
    assert set(found) == set(dead_letter.NAMES)
    assert {name: value["StringValue"] for name, value in found.items()} == {
        "reason": "why",
        "error_type": "ValueError",
        "request_id": "r-1",
        "attempts": "3",
        "function": "developer",
        "failed_at": "2026-01-02T03:04:05.006Z",
    }


def test_attributes_without_time_use_now() -> None:
    text = dead_letter.attributes("w", "E", "r", 1, "f")["failed_at"]["StringValue"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(minutes=1)


def test_attributes_refused_characters_are_replaced() -> None:
    found = dead_letter.attributes("a\x00b\x1bc\ud800d\ue000\n" + "x" * 9000, "", "r", 1, "f")
    reason = found["reason"]["StringValue"]
    assert reason.startswith("a?b?c?d\ue000\nxx")
    assert len(reason) == dead_letter.REASON_MAX_CHARACTERS
    assert reason.endswith("…")
    assert found["error_type"]["StringValue"] == "unknown"


def text(value: str) -> dict[str, Any]:
    return {"DataType": "String", "StringValue": value}


def explained(sender: dead_letter.Attributes, body: str = "") -> dict[str, dict[str, Any]]:
    return dead_letter.attributes("why", "E", "r", 1, "f", sender=sender, body=body)


BINARY = {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"}


@pytest.mark.parametrize(
    "sender",
    [
        {},
        {"type": text("a")},
        {f"own-{n}": text(str(n)) for n in range(4)},
        {f"own-{n}": text(str(n)) for n in range(10)},
        {"attempts": text("many")},
        {"reason": text("of the sender"), "picture": BINARY},
        {"sender_attributes": text("no JSON")},
        {"picture": BINARY, "count": {"DataType": "Number.int", "StringValue": "7"}},
        {"umlaut": text('"ä\n\u2028"')},
    ],
)
def test_sender_attributes_are_restored_from_a_letter(sender: dict[str, Any]) -> None:
    letter = explained(sender)
    assert len(letter) <= dead_letter.ATTRIBUTES_MAX
    assert letter["reason"]["StringValue"] == "why"
    assert letter["attempts"]["StringValue"] == "1"
    assert dead_letter.sender_attributes(letter) == sender


def test_sender_attributes_few_stay_readable() -> None:
    assert explained({"type": text("a")})["type"] == text("a")


def test_sender_attributes_of_a_letter_that_sqs_moved_are_all_of_it() -> None:
    letter = {"attempts": text("many") | {"StringListValues": []}, "type": text("a")}
    assert not dead_letter.is_explained(letter)
    assert dead_letter.sender_attributes(letter) == {"attempts": text("many"), "type": text("a")}


def size(letter: dead_letter.Attributes, body: str) -> int:
    return len(body.encode()) + sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"].encode())
        for name, value in letter.items()
    )


@pytest.mark.parametrize("reason", ["x" * 1024, "ä" * 1024, "🦊" * 1024])
def test_attributes_large_body_shortens_the_reason_to_the_limit(reason: str) -> None:
    body = "b" * (dead_letter.MESSAGE_BYTES_MAX - 600)
    letter = dead_letter.attributes(reason, "E", "r", 1, "f", body=body)
    assert size(letter, body) <= dead_letter.MESSAGE_BYTES_MAX
    kept = letter["reason"]["StringValue"]
    assert kept.endswith("…")
    assert kept[0] == reason[0]
    assert size(letter, body) > dead_letter.MESSAGE_BYTES_MAX - 20  # no room is wasted


def test_attributes_small_body_keeps_the_whole_reason() -> None:
    letter = dead_letter.attributes("🦊" * 1024, "E", "r", 1, "f", body="{}")
    assert letter["reason"]["StringValue"] == "🦊" * 1024


def test_from_record_reads_text_and_binary_attributes() -> None:
    record = {
        "messageAttributes": {
            "type": {"dataType": "String", "stringValue": "a", "stringListValues": []},
            "picture": {"dataType": "Binary.png", "binaryValue": "AP8="},
        }
    }
    assert dead_letter.from_record(record) == {"type": text("a"), "picture": BINARY}
    assert dead_letter.from_record({}) == {}


@pytest.mark.parametrize(
    ("value", "count"),
    [(None, 0), ("3 m", 3), ("0f9c-legacy-id", 1), ("", 1), ("²", 1), ("9" * 50, 1)],
)
def test_replay_count_reads_any_value(value: str | None, count: int) -> None:
    sender = {} if value is None else {dead_letter.REPLAYED: text(value)}
    assert dead_letter.replay_count(sender) == count
    again = {dead_letter.REPLAYED: dead_letter.replay_attribute(count + 1, "m")}
    assert dead_letter.replay_count(again) == count + 1
