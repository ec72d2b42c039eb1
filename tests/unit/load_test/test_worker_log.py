"""What the workers' logs say, out of lines as they are written."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from services.load_test.worker_log import read
from services.runtime.execution import Invocation, Outcome
from services.runtime.report import report

AT = "2026-11-23T12:00:00Z"
SECONDS = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def line(**fields: object) -> str:
    return json.dumps({"timestamp": AT, "level": "info", **fields})


def handled(message: str, attempt: int, outcome: str, at: str = AT, upload: str = "1") -> str:
    return line(
        event="original_created",
        function="process-image",
        message_id=message,
        attempt=attempt,
        owner="o",
        upload=upload,
        outcome=outcome,
        timestamp=at,
    )


def test_report_line_of_worker_is_parsed() -> None:
    done = Invocation(
        request_id="r",
        outcome=Outcome.SUCCESS,
        payload=b"{}",
        error_type="",
        error_message="",
        duration_ms=120.4,
        peak_mib=140.2,
        cold=True,
        init_ms=300.0,
    )
    logs = read([("process-image-1", line(**report("process-image", 1769, done, 1)))])
    (found,) = logs.invocations
    assert found.worker == "process-image-1"
    assert found.function == "process-image"
    assert (found.duration_ms, found.billed_ms, found.init_ms) == (120.4, 421, 300.0)
    assert (found.peak_mib, found.memory_mib, found.outcome) == (141, 1769, "success")
    assert found.at == SECONDS
    assert found.cold


def test_photo_settled_twice_uses_first_time() -> None:
    later = "2026-11-23T12:00:05.5Z"
    logs = read(
        [
            ("a", handled("m", 2, "developed", later)),
            ("b", handled("m", 1, "developed")),
            ("b", handled("n", 1, "superseded: a newer event was handled", upload="2")),
        ]
    )
    assert logs.settled == {"o/1": SECONDS}


def test_redeliveries_include_receives_without_log_line() -> None:
    logs = read([("a", "\n".join([handled("m", 3, "developed"), handled("n", 1, "rejected")]))])
    assert logs.redeliveries == 2


def test_message_logged_twice_counts_as_one_redelivery() -> None:
    failed = line(event="message_failed", function="f", message_id="m", attempt=2)
    assert read([("a", f"{failed}\n{failed}")]).redeliveries == 1


def test_repeated_messages_are_counted() -> None:
    sent = line(event="email_already_sent", function="send-image-email", message_id="x", attempt=2)
    logs = read([("a", handled("m", 2, "repeated: the event was handled before")), ("b", sent)])
    assert logs.repetitions == 2
    assert logs.settled == {}


@pytest.mark.parametrize("text", ["", "no JSON", '{"event": "report", "dur', "[1]", "{}", "null"])
def test_lines_of_other_formats_are_ignored(text: str) -> None:
    logs = read([("a", text)])
    assert (logs.invocations, logs.attempts) == ((), {})
