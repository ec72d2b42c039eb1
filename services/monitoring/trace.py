"""The story of one photo, order or request, put together from the log lines of all functions.

A line belongs to the story if it carries the id, or the correlation id of a line that does, or if
it has no correlation id and belongs to the same invocation or request (docs/reference/logs.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.platform.errors import PermanentError

# Beginnings of ids shorter than this match by accident.
ID_CHARACTERS_MIN = 6
_CORRELATION = "correlation_id"
_IDS = (
    _CORRELATION, "request_id", "api_request_id", "order_id", "image_id", "message_id", "event_id",
)  # fmt: skip
_ENDS = ("invocation_completed", "message_completed")
_GATEWAY = "gateway"
_SUCCESS = "success"
# Not shown with an event: they stand elsewhere, or are the same on every line.
_HIDDEN = frozenset(
    {
        *_IDS, "event", "level", "timestamp", "function", "version", "cold_start", "attempt",
        "state", "route", "exception", "owner", "key", "sequencer", "user_id",
    }
)  # fmt: skip


class NotInLogs(PermanentError):  # noqa: N818  as others are named
    """No log line has the id."""


@dataclass(frozen=True)
class Line:
    """One log line that is a JSON object: seconds since the epoch, and its fields."""

    at: float
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field as text; empty if it is missing."""
        value = self.fields.get(name)
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Span:
    """One invocation, or one request at the gateway. Times in seconds since the epoch; `init_ms` is
    the initialization before it, where the log states one."""

    function: str
    began: float
    ended: float
    outcome: str
    request_id: str
    cold_start: bool = False
    attempt: int = 1
    init_ms: float | None = None

    @property
    def duration_ms(self) -> float:
        return round((self.ended - self.began) * 1000, 1)

    @property
    def failed(self) -> bool:
        return self.outcome != _SUCCESS


@dataclass(frozen=True)
class Event:
    """One log event of a function: what happened, and its other fields as text."""

    at: float
    function: str
    name: str
    details: Mapping[str, str]


@dataclass(frozen=True)
class Story:
    """Everything that the log has about one photo, order or request, in order of time."""

    id: str
    correlation_ids: tuple[str, ...]
    spans: tuple[Span, ...]
    events: tuple[Event, ...]

    @property
    def began(self) -> float:
        return min([*(s.began for s in self.spans), *(e.at for e in self.events)])

    @property
    def ended(self) -> float:
        return max([*(s.ended for s in self.spans), *(e.at for e in self.events)])

    def document(self) -> dict[str, Any]:
        """As JSON. Times are UTC, ISO 8601; durations in milliseconds."""
        return {
            "id": self.id,
            "correlation_ids": list(self.correlation_ids),
            "began": iso(self.began),
            "duration_ms": round((self.ended - self.began) * 1000, 1),
            "spans": [
                {
                    "function": s.function,
                    "began": iso(s.began),
                    "duration_ms": s.duration_ms,
                    "init_ms": s.init_ms,
                    "outcome": s.outcome,
                    "cold_start": s.cold_start,
                    "attempt": s.attempt,
                    "request_id": s.request_id,
                }
                for s in self.spans
            ],
            "events": [
                {"at": iso(e.at), "function": e.function, "event": e.name, **e.details}
                for e in self.events
            ],
        }


def check_id(identifier: str) -> None:
    """Raises PermanentError for a text that is too short for an id."""
    if len(identifier) < ID_CHARACTERS_MIN:
        raise PermanentError(
            f"expected at least {ID_CHARACTERS_MIN} characters of an id, got {identifier!r}"
        )


def related_ids(lines: Iterable[Line], identifier: str) -> frozenset[str]:
    """The ids by which the log has more lines about what `identifier` names: correlation ids, and
    the ids of its invocations and requests."""
    found: set[str] = set()
    for line in lines:
        if _names(line, identifier):
            ids = (_CORRELATION, "request_id", "api_request_id")
            found |= {line.text(name) for name in ids if line.text(name)}
    return frozenset(found)


def tell(lines: Sequence[Line], identifier: str) -> Story:
    """The story of what `identifier` names: the id of an upload, image, order, message, event,
    invocation or request, or its beginning. Raises PermanentError when no line has it."""
    check_id(identifier)
    named = [line for line in lines if _names(line, identifier)]
    if not named:
        raise NotInLogs(
            f"{identifier!r} not found in the logs: expected the id of a photo, an order or a "
            "request, or its beginning"
        )
    correlation_ids = {line.text(_CORRELATION) for line in named} - {""}
    story = [line for line in lines if line.text(_CORRELATION) in correlation_ids]
    story = story or named
    invocations = {line.text("request_id") for line in story} - {""}
    requests = {line.text("api_request_id") for line in story} - {""}

    def is_part(line: Line) -> bool:
        if line.text(_CORRELATION):
            return line.text(_CORRELATION) in correlation_ids
        ids = {line.text("request_id"), line.text("api_request_id"), line.text("invocation_id")}
        return bool(ids & (invocations | requests)) or line in named

    whole = sorted((line for line in lines if is_part(line)), key=lambda line: line.at)
    reports = {
        line.text("request_id"): line for line in whole if line.fields.get("event") == "report"
    }
    spans = sorted(_spans(whole, reports), key=lambda span: (span.began, -span.ended))
    events = [
        Event(line.at, line.text("function"), line.text("event"), _details(line))
        for line in whole
        if line.text("function") and line.text("event") not in (*_ENDS, "report", "request")
    ]
    return Story(identifier, tuple(sorted(correlation_ids)), tuple(spans), tuple(events))


def _names(line: Line, identifier: str) -> bool:
    if any(line.text(name).startswith(identifier) for name in _IDS):
        return True
    return identifier in line.text("key").split("/")


def _spans(lines: Sequence[Line], reports: Mapping[str, Line]) -> Iterable[Span]:
    completed = set()
    for line in lines:
        event, request_id = line.text("event"), line.text("request_id")
        if event in _ENDS:
            completed.add(request_id)
            yield _span(line, reports.get(request_id))
        elif event == "request":
            status = int(line.fields.get("status") or 0)
            outcome = _SUCCESS if 0 < status < 500 else f"status {status}"
            yield _span(line, None, function=_GATEWAY, outcome=outcome)
    # A crash or a timeout leaves only the report of the worker.
    for request_id, line in reports.items():
        if request_id not in completed:
            yield _span(line, line)


def _span(
    line: Line, report: Line | None, *, function: str | None = None, outcome: str | None = None
) -> Span:
    seconds = float(line.fields.get("duration_ms", 0)) / 1000
    init_ms = report.fields.get("init_duration_ms") if report is not None else None
    return Span(
        function=function or line.text("function"),
        began=line.at - seconds,
        ended=line.at,
        outcome=outcome or line.text("outcome") or _SUCCESS,
        request_id=line.text("request_id"),
        cold_start=bool(line.fields.get("cold_start") or line.fields.get("cold")),
        attempt=int(line.fields.get("attempt", 1)),
        init_ms=None if init_ms is None else float(init_ms),
    )


def _details(line: Line) -> dict[str, str]:
    return {
        name: str(value)
        for name, value in line.fields.items()
        if name not in _HIDDEN and value is not None
    }


def iso(at: float) -> str:
    """Seconds since the epoch as UTC text."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- as text

COLUMNS = 80
_NAME_COLUMNS = 24
_FIGURE_COLUMNS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def waterfall(story: Story, columns: int = COLUMNS) -> str:
    """The spans as bars on one time axis, then the events, in lines of at most `columns`."""
    return bars(story, columns) + event_lines(story, columns)


def bars(story: Story, columns: int) -> str:
    """The invocations and requests on one time axis."""
    width = columns - _NAME_COLUMNS - _FIGURE_COLUMNS - 3
    whole = max(story.ended - story.began, 0.001)
    head = (
        f"{story.id}  {duration_text(whole * 1000)} in {len(story.spans)} invocations and requests"
    )
    lines = [cut(head, columns), ""]
    for span in story.spans:
        mark = "✗" if span.failed else "*" if span.cold_start else " "
        name = span.function if span.attempt == 1 else f"{span.function} #{span.attempt}"
        drawn = bar((span.began - story.began) / whole, (span.ended - story.began) / whole, width)
        figure = duration_text(span.duration_ms)
        lines.append(
            f"{cut(name, _NAME_COLUMNS):{_NAME_COLUMNS}} {mark}{drawn} {figure:>{_FIGURE_COLUMNS}}"
        )
    lines += ["", "* cold start   ✗ failed, or will be repeated", ""]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def event_lines(story: Story, columns: int) -> str:
    """What the functions logged, in order of time."""
    lines = []
    for event in story.events:
        offset = f"+{event.at - story.began:.3f}"
        details = " ".join(f"{name}={value}" for name, value in event.details.items())
        lines.append(cut(f"{offset:>9}  {event.function}  {event.name} {details}", columns))
    return "".join(f"{line.rstrip()}\n" for line in lines)


def bar(began: float, ended: float, width: int) -> str:
    """A bar from `began` to `ended` (shares of the whole), at least one eighth wide."""
    start = min(int(began * width), width - 1)
    eighths = max(1, round((ended - began) * width * 8))
    full, rest = divmod(min(eighths, (width - start) * 8), 8)
    return (" " * start + _EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def duration_text(milliseconds: float) -> str:
    """`12 ms`, or `12.3 s` from ten seconds on."""
    return f"{milliseconds:.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


def cut(text: str, columns: int) -> str:
    """`text` in one line of at most `columns`."""
    text = " ".join(text.split())
    return text if len(text) <= columns else text[: columns - 1] + "…"
