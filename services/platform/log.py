"""JSON log lines on stdout, through structlog. docs/reference/logs.md lists their keys and events.

A correlation id stands on every line about one photo or one order, in whatever function it is
written. That of a photo is the id of its upload; that of an order is the order's id.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from services.platform import tracing

# The name in log lines, message attributes and task messages.
CORRELATION_ID = "correlation_id"
_CORRELATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str | None = None) -> None:
    """Sets up structlog for this process: one JSON object a line, UTC times in ISO 8601.

    `level` is debug, info, warning or error; LOG_LEVEL in the environment when not given.
    """
    # Set by Lambda; a release counts the failures of each version by this field.
    version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")

    def add_version(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        return event if version is None else {**event, "version": version}

    chosen = (level or os.environ.get("LOG_LEVEL") or "info").lower()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            add_version,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(chosen, 20)),
        # sys.stdout is looked up late, because awslambdaric replaces it when it starts.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stdout),
        cache_logger_on_first_use=False,
    )


def logger() -> Any:
    """The bound logger. Untyped on purpose: structlog binds its methods at run time."""
    return structlog.get_logger()


def bind(**values: Any) -> None:
    """Adds fields to every further line of this invocation."""
    structlog.contextvars.bind_contextvars(**values)


def clear() -> None:
    """Forgets the fields of the invocation before."""
    structlog.contextvars.clear_contextvars()


def fields() -> dict[str, Any]:
    """The fields that every line has at present."""
    return structlog.contextvars.get_contextvars()


def correlate(identifier: str, *, origin: bool = False) -> None:
    """Sets the correlation id of this invocation's further lines, messages and spans. `origin`: the
    photo's or order's life begins in this invocation."""
    bind(**{CORRELATION_ID: as_correlation_id(identifier)})
    tracing.follow(as_correlation_id(identifier), origin=origin)


def correlation_id() -> str | None:
    """The correlation id of the running invocation, if it has one."""
    return fields().get(CORRELATION_ID)


@contextmanager
def correlated(identifier: str) -> Iterator[None]:
    """Within the block, `identifier` is the correlation id."""
    with structlog.contextvars.bound_contextvars(**{CORRELATION_ID: as_correlation_id(identifier)}):
        yield


def as_correlation_id(text: str) -> str:
    """`text`, if it is 1 to 64 letters, digits, dots, hyphens and underscores; otherwise its hash,
    since it comes from outside and is written into logs and headers."""
    if _CORRELATION_ID.fullmatch(text):
        return text
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
