"""The story of a photo from log lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.monitoring.log_reading import as_line, read_lines
from services.monitoring.trace import COLUMNS, Line, tell, waterfall
from services.platform.errors import PermanentError

PHOTO = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
AT = 1_795_000_000.0


def line(seconds: float, event: str, function: str, request: str, **fields: Any) -> Line:
    return Line(
        AT + seconds, {"event": event, "function": function, "request_id": request, **fields}
    )


def end(seconds: float, function: str, request: str, duration_ms: float, **fields: Any) -> Line:
    values = {"duration_ms": duration_ms, "outcome": "success", **fields}
    return line(seconds, "invocation_completed", function, request, **values)


PHOTO_LINES = [
    Line(AT + 0.06, {"event": "request", "request_id": "api-request-1", "route": "POST /uploads",
                     "status": 201, "duration_ms": 60, "invocation_id": "invocation-1"}),
    line(0.01, "session_looked_up", "authorize-request", "invocation-0",
         api_request_id="api-request-1"),
    end(0.05, "request-upload", "invocation-1", 20, correlation_id=PHOTO,
        api_request_id="api-request-1", cold_start=True),
    line(1.2, "original_created", "process-image", "invocation-2", correlation_id=PHOTO,
         image_id="image-0001", outcome="developed"),
    end(1.3, "process-image", "invocation-2", 300, correlation_id=PHOTO, attempt=2,
        image_id="image-0001"),
    Line(AT + 1.31, {"event": "report", "function": "process-image", "request_id": "invocation-2",
                     "duration_ms": 305, "init_duration_ms": 400.5, "outcome": "success"}),
    Line(AT + 9.0, {"event": "report", "function": "send-image-email", "cold": True,
                    "request_id": "invocation-3", "duration_ms": 7000, "outcome": "timeout"}),
    line(2.0, "message_failed", "send-image-email", "invocation-3", correlation_id=PHOTO,
         message_id="message-1", error_type="TransientError", reason="SES cannot be reached"),
]  # fmt: skip
OTHER_LINES = [
    # The same invocation handled a batch of both photos.
    end(1.25, "process-image", "invocation-2", 10, correlation_id=OTHER),
    end(3.0, "process-image", "invocation-9", 10, correlation_id=OTHER),
    Line(AT + 3.0, {"event": "worker_started"}),
]


@pytest.mark.parametrize(
    "identifier", [PHOTO, PHOTO[:8], "image-0001", "api-request-1", "invocation-2", "message-1"]
)
def test_story_has_every_invocation_in_order_whatever_id_names_it(identifier: str) -> None:
    story = tell([*OTHER_LINES, *reversed(PHOTO_LINES)], identifier)
    assert [span.function for span in story.spans if span.request_id != "invocation-9"] == [
        "gateway",
        "request-upload",
        "process-image",
        *(["process-image"] if identifier == "invocation-2" else []),
        "send-image-email",
    ]
    assert [event.name for event in story.events] == [
        "session_looked_up",
        "original_created",
        "message_failed",
    ]


def test_story_excludes_other_photos_of_the_same_batch() -> None:
    story = tell([*PHOTO_LINES, *OTHER_LINES], PHOTO)
    assert story.correlation_ids == (PHOTO,)
    assert "invocation-9" not in {span.request_id for span in story.spans}
    assert len([s for s in story.spans if s.function == "process-image"]) == 1


def test_span_has_attempt_initialization_and_outcome() -> None:
    _, upload, develop, mail = tell(PHOTO_LINES, PHOTO).spans
    assert (upload.cold_start, upload.duration_ms, upload.failed) == (True, 20, False)
    assert (develop.attempt, develop.init_ms) == (2, 400.5)
    # The invocation was killed: only the worker's report tells of it.
    assert (mail.outcome, mail.duration_ms, mail.failed) == ("timeout", 7000, True)


def test_waterfall_fits_into_80_columns_and_shows_failures() -> None:
    text = waterfall(tell(PHOTO_LINES, PHOTO))
    rows = text.splitlines()
    assert max(map(len, rows)) <= COLUMNS
    assert any(row.startswith("process-image #2") and "300 ms" in row for row in rows)
    assert any(row.startswith("send-image-email") and "✗" in row for row in rows)
    assert any("message_failed" in row and "+2.000" in row for row in rows)


def test_waterfall_bars_are_in_order_of_time() -> None:
    rows = waterfall(tell(PHOTO_LINES, PHOTO)).splitlines()[2:6]
    starts = [min(row.find(block, 25) for block in "▏▎▍▌▋▊▉█" if block in row) for row in rows]
    assert starts == sorted(starts)


def test_document_is_json_with_spans_and_events() -> None:
    document = json.loads(json.dumps(tell(PHOTO_LINES, PHOTO).document()))
    assert document["correlation_ids"] == [PHOTO]
    assert document["spans"][1]["duration_ms"] == 20
    assert document["events"][-1]["reason"] == "SES cannot be reached"


@pytest.mark.parametrize("identifier", ["", "01234", "nothing-has-this"])
def test_unknown_or_short_id_is_refused(identifier: str) -> None:
    with pytest.raises(PermanentError):
        tell(PHOTO_LINES, identifier)


def test_lines_of_docker_compose_are_read_without_their_prefix() -> None:
    late = {"timestamp": "2026-11-27T12:00:01Z", "event": "b"}
    early = {"timestamp": "2026-11-27T12:00:00.5Z", "event": "a"}
    texts = [
        f"process-image-1  | {json.dumps(late)}\n",
        f"gateway-1        | {json.dumps(early)}\n",
        "process-image-1  | START RequestId: 1\n",
        "gateway-1        | {broken\n",
    ]
    assert [line.text("event") for line in read_lines(texts)] == ["a", "b"]


def test_report_of_the_lambda_platform_is_read_as_a_report() -> None:
    document = {
        "time": "2026-11-27T12:00:00.000Z",
        "type": "platform.report",
        "record": {
            "requestId": "invocation-1",
            "status": "timeout",
            "metrics": {"durationMs": 12.5, "maxMemoryUsedMB": 80, "initDurationMs": 300.1},
        },
    }
    found = as_line(json.dumps(document))
    assert found is not None
    assert found.fields == {
        "event": "report",
        "request_id": "invocation-1",
        "outcome": "timeout",
        "duration_ms": 12.5,
        "max_memory_used_mib": 80,
        "init_duration_ms": 300.1,
    }
