"""The worker's stdout: whole lines only, one writer at a time.

The worker's log and report lines and the handlers' output share it, from many threads.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

import structlog

from services.platform import timestamps

LEVELS = ("debug", "info", "warning", "error")
_lock = threading.Lock()


def write_line(line: bytes) -> None:
    """Writes `line` and a newline, unmixed with other lines. When stdout is closed the line
    is lost, but work continues."""
    data = memoryview(line + b"\n")
    with _lock:
        try:
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]
        except (OSError, ValueError):
            return


def write_json(**fields: Any) -> None:
    """Writes a JSON line with `level` info and the time. Cheaper than the logger: once for each
    invocation it counts."""
    write_line(
        json.dumps(
            {**fields, "level": "info", "timestamp": timestamp()},
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode("utf-8", "replace")
    )


def timestamp() -> str:
    """Now, UTC, ISO 8601."""
    return timestamps.now("microseconds")


class _LineLogger:
    """What structlog calls with each rendered line."""

    def msg(self, line: str) -> None:
        write_line(line.encode("utf-8", "replace"))

    debug = info = warning = error = critical = msg


def level(environ: Mapping[str, str]) -> str:
    """The log level: a function's LOG_LEVEL and the worker's are one and the same variable."""
    wanted = environ.get("LOG_LEVEL", "info").lower()
    return wanted if wanted in LEVELS else "info"


def configure_logging(level: str) -> None:
    """Sets up structlog for this process: JSON lines through `write_line`."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(),
        cache_logger_on_first_use=False,
    )


def logger() -> Any:
    """The worker's logger."""
    return structlog.get_logger()
