"""The attributes of a dead letter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from services.platform.aws import dead_letter


def test_all_that_an_operator_asks_for() -> None:
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


def test_now_unless_given() -> None:
    text = dead_letter.attributes("w", "E", "r", 1, "f")["failed_at"]["StringValue"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(minutes=1)


def test_what_sqs_would_refuse_is_made_fit() -> None:
    found = dead_letter.attributes("a\x00b\x1bc\ud800d\ue000\n" + "x" * 9000, "", "r", 1, "f")
    reason = found["reason"]["StringValue"]
    assert reason.startswith("a?b?c?d\ue000\nxx")
    assert len(reason) == dead_letter.REASON_MAX_CHARACTERS
    assert reason.endswith("…")
    assert found["error_type"]["StringValue"] == "unknown"
