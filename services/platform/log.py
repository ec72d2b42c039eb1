"""JSON log lines on stdout, through structlog, each with the function's name and request id, and on
Lambda its version."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

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
