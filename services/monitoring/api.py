"""The HTTP contract of the operator console: requests, responses and problems of each route."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from services.monitoring.dead_letter_queues import Filter
from services.monitoring.trace import ID_CHARACTERS_MIN
from services.platform.functions.access import Access
from services.platform.functions.http import INVALID_REQUEST as INVALID_REQUEST
from services.platform.functions.http import Answer, Operation, Problem
from services.platform.validation import END

LETTERS_MAX = 100
IDS_MAX = 100
EVENT_CHARACTERS_MAX = 4000
# An HTTP API waits 30 s; a queue with letters is read for this long at most.
READ_SECONDS = 10.0

LETTER_NOT_FOUND = Problem(404, "dead-letter-not-found", "Dead letter not found")
TRACE_NOT_FOUND = Problem(404, "trace-not-found", "Trace not found")

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0)]
FunctionName = Annotated[
    str,
    Meta(
        pattern=f"^[a-z]+(-[a-z]+)*{END}",
        max_length=64,
        description="a function's name",
        examples=["process-image"],
    ),
]
MessageId = Annotated[
    str,
    Meta(
        pattern=f"^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{END}",
        description="a dead letter's message id, a UUID",
        examples=["6f9c1f0e-3a52-4d0b-9d55-2f6f3f2c9d10"],
    ),
]
Text = Annotated[
    str,
    Meta(min_length=1, max_length=200, description="a text in the reason or in the message"),
]
ErrorType = Annotated[
    str, Meta(min_length=1, max_length=100, description="the whole name of the error's type")
]
# Queues keep dead letters for 14 days.
AGE_MAX = 14 * 24 * 3600
Age = Annotated[int, Meta(ge=0, le=AGE_MAX, description="seconds since the failure")]


class FunctionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A function in the window. Times in milliseconds; null: not known. `in_flight`: invocations
    that run, on AWS the highest number of the last five minutes."""

    name: str
    invocations: Count
    errors: Count
    p50_ms: float | None
    p99_ms: float | None
    cold_starts: Count | None
    in_flight: Count | None
    last_error: str | None


class QueueSample(msgspec.Struct, frozen=True, kw_only=True):
    """A queue at one time."""

    at: Time
    waiting: Count
    oldest_seconds: float | None


class QueueHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A function's queue. `oldest_seconds`: the age of its oldest message; null without one."""

    function: str
    waiting: Count
    in_flight: Count
    dead_letters: Count
    oldest_seconds: float | None
    history: list[QueueSample]


class FunctionUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a function did: its invocations, and the sum of their durations in milliseconds."""

    name: str
    invocations: Count
    duration_ms: float


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What functions did since midnight, UTC; those that did nothing are left out."""

    since: Time
    functions: list[FunctionUsage]


class StatusParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    usage: Annotated[bool, Meta(description="also return the usage of today")] = False


class LabStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole lab. Figures of functions are those of the last `window_seconds`. Pages may ask
    again every `refresh_seconds`. `usage` is null unless asked for."""

    at: Time
    window_seconds: int
    refresh_seconds: int
    functions: list[FunctionHealth]
    queues: list[QueueHealth]
    usage: Usage | None


class ReleasedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A published version of a function. `image_digest`: `sha256:...`; null: the image has none."""

    version: str
    image_digest: str | None
    published_at: Time | None


class FunctionRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A function's versions on Lambda; `live` is null for a worker, and in an embedded lab.
    `previous` is what a rollback restores; null: it does not move this function. `held`: the
    function was taken back, and stays at this version until it has another image."""

    name: str
    live: ReleasedVersion | None
    previous: ReleasedVersion | None
    held: bool


class Releases(msgspec.Struct, frozen=True, kw_only=True):
    """What is live. `changed_at`: the last release or rollback; null if none is known.
    `rollback_command`: what an operator runs in a checkout to go back; null if nothing can.
    `code_version`: the version of the code that an embedded lab runs; null on AWS."""

    functions: list[FunctionRelease]
    changed_at: Time | None
    rollback_command: str | None
    code_version: str | None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that failed for good. `photo` is a link to the original that it is about."""

    function: str
    message_id: str
    reason: str
    error_type: str
    request_id: str | None
    attempts: int | None
    failed_at: str | None
    sent_at: Time
    replays: int
    event: Annotated[str, Meta(description=f"its first {EVENT_CHARACTERS_MAX} characters")]
    photo: str | None


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of a function that another reader hides, or that there was no time to read."""

    function: str
    count: int


class Letters(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters, oldest first. `found` may be more than `letters` has."""

    letters: list[Letter]
    found: int
    unread: list[Unread]


class LetterParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    function: FunctionName | None = None
    error_type: ErrorType | None = None
    text: Text | None = None
    older_than_seconds: Age = 0
    newer_than_seconds: Age = AGE_MAX


class LetterSelection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Dead letters by id, or all that match (`all`); a filter applies to both. `dry_run`: only
    select."""

    message_ids: Annotated[list[MessageId], Meta(min_length=1, max_length=IDS_MAX)] | None = None
    all: bool = False
    function: FunctionName | None = None
    error_type: ErrorType | None = None
    text: Text | None = None
    older_than_seconds: Age = 0
    newer_than_seconds: Age = AGE_MAX
    dry_run: bool = False


class SelectedLetter(msgspec.Struct, frozen=True, kw_only=True):
    function: str
    message_id: str


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """The dead letters that were replayed or discarded, or that would be."""

    letters: list[SelectedLetter]
    dry_run: bool
    unread: list[Unread]


class TraceParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    id: Annotated[
        str,
        Meta(
            pattern=f"^[A-Za-z0-9._:-]{{{ID_CHARACTERS_MIN},128}}{END}",
            description="the id of an upload, image, order, request or message, or its beginning",
        ),
    ]


class TraceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """An invocation or a request. Times in milliseconds."""

    function: str
    began: Time
    duration_ms: float
    init_ms: float | None
    outcome: str
    cold_start: bool
    attempt: int
    request_id: str


class TraceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A log event, with its other fields."""

    at: Time
    function: str
    event: str
    details: dict[str, str]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What all functions did for one photo, order or request, in order of time."""

    id: str
    correlation_ids: list[str]
    began: Time
    duration_ms: float
    spans: list[TraceSpan]
    events: list[TraceEvent]


GET_LAB_STATUS = Operation(
    summary="Show the health of all functions and queues",
    access=Access.ADMINISTRATOR,
    parameters=StatusParameters,
    answers={200: Answer("The lab now", LabStatus)},
)
LIST_RELEASES = Operation(
    name="list-releases",
    summary="List the released version of each function",
    description="It shows how to go back, and changes nothing.",
    access=Access.ADMINISTRATOR,
    answers={200: Answer("The versions now", Releases)},
)
LIST_DEAD_LETTERS = Operation(
    summary="List dead letters",
    description=f"At most {LETTERS_MAX}. Reading hides them from other readers for a moment.",
    access=Access.ADMINISTRATOR,
    parameters=LetterParameters,
    answers={200: Answer("Dead letters", Letters)},
)
REPLAY_DEAD_LETTERS = Operation(
    summary="Send dead letters back to their queues",
    access=Access.ADMINISTRATOR,
    body=LetterSelection,
    answers={200: Answer("What was replayed", Resolved)},
    problems=(LETTER_NOT_FOUND,),
)
DISCARD_DEAD_LETTERS = Operation(
    summary="Delete dead letters",
    access=Access.ADMINISTRATOR,
    body=LetterSelection,
    answers={200: Answer("What was deleted", Resolved)},
    problems=(LETTER_NOT_FOUND,),
)
GET_TRACE = Operation(
    summary="Trace a photo, an order or a request through all functions",
    description="From the logs: on AWS those of the last day.",
    access=Access.ADMINISTRATOR,
    parameters=TraceParameters,
    answers={200: Answer("The trace", Trace)},
    problems=(TRACE_NOT_FOUND,),
)


def matching(wanted: LetterParameters | LetterSelection) -> Filter:
    """The filter of a request. By default letters of any age match, as clocks may differ."""
    older, newer = wanted.older_than_seconds, wanted.newer_than_seconds
    return Filter(
        wanted.error_type,
        wanted.text,
        timedelta(seconds=older) if older > 0 else None,
        timedelta(seconds=newer) if newer < AGE_MAX else None,
    )
