"""Which queue messages are events of the stream."""

from __future__ import annotations

import json

import pytest

from services.gateway.event_queue import read_event
from services.gateway.event_stream import Event

DOCUMENT = {
    "type": "image.developed",
    "subject": "a1",
    "time": "2026-11-28T00:00:00+00:00",
    "data": {"owner": "ada", "recipient": "ada@darkroom.example"},
}


def notification(document: object, correlation_id: object = "u1") -> str:
    attributes = {"correlation_id": {"Type": "String", "Value": correlation_id}}
    return json.dumps({"Message": json.dumps(document), "MessageAttributes": attributes})


def test_event_in_a_notification_is_read_and_sent_without_personal_data() -> None:
    event = read_event(notification(DOCUMENT))
    assert event == Event("ada", "image.developed", "a1", "2026-11-28T00:00:00+00:00", "u1")
    assert event is not None
    assert event.encode() == (
        b'data: {"type":"image.developed","id":"a1","time":"2026-11-28T00:00:00+00:00",'
        b'"correlation_id":"u1"}\n\n'
    )


def test_event_without_a_cause_is_sent_without_one() -> None:
    event = read_event(json.dumps({"Message": json.dumps(DOCUMENT)}))
    assert event is not None
    assert b"correlation_id" not in event.encode()


def test_line_break_in_an_id_does_not_begin_another_field() -> None:
    event = read_event(notification({**DOCUMENT, "subject": "a\n\ndata: b"}))
    assert event is not None
    assert event.encode().count(b"\n") == 2


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "[" * 100_000,
        '{"Message": 1}',
        notification([]),
        notification({**DOCUMENT, "data": {}}),
        notification({**DOCUMENT, "data": {"owner": None}}),
        notification({**DOCUMENT, "data": {"owner": ""}}),
        notification({**DOCUMENT, "subject": 1}),
        notification(DOCUMENT, correlation_id=1),
        json.dumps(DOCUMENT),
    ],
)
def test_message_that_is_no_event_of_an_owner_is_dropped(body: str) -> None:
    assert read_event(body) is None
