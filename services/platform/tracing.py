"""Spans of an invocation, in OpenTelemetry's terms.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set: then nothing is imported, and a span is one shared
object that does nothing. `services.platform.otlp` records and exports the spans.

The trace of a photo or an order is derived from its correlation id, so it goes on wherever the id
travels: in an object's metadata, in attributes of SQS and SNS messages, in a task's message. Within
it the W3C context (https://www.w3.org/TR/trace-context/) in message attributes names the parent.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.platform.otlp import Recorder

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
# The name of the W3C context in message attributes and HTTP headers.
TRACEPARENT = "traceparent"


class Kind(IntEnum):
    """https://opentelemetry.io/docs/specs/otel/trace/api/#spankind, with OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class _NoSpan(AbstractContextManager[None]):
    def __exit__(self, *_: object) -> None:
        return


_NO_SPAN = _NoSpan()


@functools.cache
def _recorder() -> Recorder | None:
    """What records the spans of this process; None when tracing is off. Made at the first use, not
    at the import: a process forked from a template has other environment variables."""
    endpoint = os.environ.get(ENDPOINT, "").strip()
    if not endpoint:
        return None
    from services.platform.otlp import Recorder, headers_of

    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "darkroom")
    return Recorder(endpoint, headers_of(os.environ.get(HEADERS, "")), name)


def enabled() -> bool:
    """Whether spans are recorded."""
    return _recorder() is not None


def span(
    name: str, kind: Kind = Kind.INTERNAL, attributes: Mapping[str, Any] | None = None
) -> AbstractContextManager[None]:
    """A span for the block, below the span that is open."""
    recorder = _recorder()
    return _NO_SPAN if recorder is None else recorder.span(name, kind, attributes or {})


def invocation(
    name: str,
    kind: Kind,
    contexts: Iterable[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> AbstractContextManager[None]:
    """The span of an invocation, which is exported with all spans below it at the end of the block.

    `contexts` are the W3C contexts of what it handles: of a single one it is a child, to several it
    has links.
    """
    recorder = _recorder()
    if recorder is None:
        return _NO_SPAN
    return recorder.invocation(name, kind, tuple(contexts), attributes or {})


def message(name: str, context: str) -> AbstractContextManager[None]:
    """The span of one message in a batch: a child of its sender's span, linked to the
    invocation's."""
    recorder = _recorder()
    return _NO_SPAN if recorder is None else recorder.message(name, context)


def follow(correlation_id: str, *, origin: bool = False) -> None:
    """Makes the invocation, or the message in its batch, a part of the trace of a photo or order.
    `origin`: its life begins here, so that this span is the root."""
    if (recorder := _recorder()) is not None:
        recorder.follow(correlation_id, origin=origin)


def add(name: str, began: float, ended: float) -> None:
    """Adds a finished span below the open one. Times of `time.monotonic`."""
    if (recorder := _recorder()) is not None:
        recorder.add(name, began, ended)


def trace_client(client: Any) -> None:
    """Has every call of a botocore client recorded, and messages that it sends carry the
    context."""
    if (recorder := _recorder()) is not None:
        recorder.trace_client(client)


def cursor_factory() -> Any:
    """psycopg2's `cursor_factory` for a connection whose statements are recorded; else None."""
    recorder = _recorder()
    return None if recorder is None else recorder.cursor_factory()
