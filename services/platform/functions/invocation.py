"""What every wrapper of a function shares: warmers, and the log of one invocation.

Each line of an invocation has `function`, `request_id` and `cold_start`; on Lambda and in workers
`version` too. The last line is `invocation_completed` with `duration_ms` and `outcome`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from services.platform import log, metrics, tracing

WARMER_KEY = "warmer"

# Whether no event has reached this process yet.
_first = True


class Context(Protocol):
    """The part of Lambda's context object that is used here."""

    aws_request_id: str
    function_name: str

    def get_remaining_time_in_millis(self) -> int: ...


Handler = Callable[[dict[str, Any], Context], dict[str, Any]]


def is_warmer(event: Any) -> bool:
    """Whether `event` only keeps an execution environment warm. Such an event counts as the first
    of its environment."""
    global _first
    warms = isinstance(event, dict) and event.get(WARMER_KEY) is True
    if warms:
        _first = False
    return warms


def handler_ready() -> None:
    """Sets up what every handler needs, at the end of the initialization."""
    global _first
    # Environments of provisioned concurrency are initialized before their first request, so no
    # request of theirs waits for a start.
    _first = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "provisioned-concurrency"
    log.configure()
    metrics.handler_ready()


@contextmanager
def invocation(
    context: Context,
    kind: tracing.Kind = tracing.Kind.INTERNAL,
    contexts: Iterable[str] = (),
    **fields: Any,
) -> Iterator[dict[str, Any]]:
    """Logs one invocation: binds its fields and `fields` to every line, and writes the metrics
    and the last line.

    Yields the fields of the last line, for the caller to add to; `outcome` is "success", or "error"
    with `error_type` when the block raises. `kind` and `contexts` are those of its span.
    """
    global _first
    cold_start, _first = _first, False
    log.clear()
    log.bind(
        function=context.function_name,
        request_id=context.aws_request_id,
        cold_start=cold_start,
        **fields,
    )
    if cold_start:
        metrics.record_cold_start()
    ending: dict[str, Any] = {"outcome": "success"}
    began = time.monotonic()
    attributes = {
        "faas.invocation_id": context.aws_request_id,
        "faas.coldstart": cold_start,
        "aws.xray.trace_header": os.environ.get("_X_AMZN_TRACE_ID", ""),
    }
    try:
        with tracing.invocation(context.function_name, kind, contexts, attributes):
            yield ending
    except BaseException as error:
        ending |= {"outcome": "error", "error_type": type(error).__name__}
        raise
    finally:
        duration_ms = elapsed_ms(began)
        metrics.record_memory()
        metrics.flush(context.function_name)
        log.logger().info("invocation_completed", duration_ms=duration_ms, **ending)


def elapsed_ms(began: float) -> float:
    """Milliseconds since `began`, in seconds of `time.monotonic`."""
    return round((time.monotonic() - began) * 1000, 1)


def plain_function(work: Callable[[dict[str, Any]], dict[str, Any]]) -> Handler:
    """A Lambda handler that passes the event to `work` and returns its result, for functions that
    neither a queue nor the API invokes. Answers `{"warm": true}` to a warmer."""
    handler_ready()

    def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
        if is_warmer(event):
            return {"warm": True}
        with invocation(context):
            return work(event)

    return handler
