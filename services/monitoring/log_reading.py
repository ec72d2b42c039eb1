"""Reads log lines of functions, whatever printed them: Docker Compose, Lambda, a worker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.monitoring.trace import Line


def as_line(text: str, default: float = 0.0) -> Line | None:
    """The JSON object in `text`; None if there is none. A prefix before it, such as Docker
    Compose's `process-image-1  | `, is left out. `default` is the time of a line without one."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        fields = json.loads(text[start:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    return Line(_time(fields) or default, _of_platform(fields))


def read_lines(texts: Iterable[str]) -> list[Line]:
    """The lines of `texts` that are JSON objects, in order of time."""
    found = [line for text in texts if (line := as_line(text)) is not None]
    return sorted(found, key=lambda line: line.at)


def _of_platform(fields: dict[str, Any]) -> dict[str, Any]:
    """Lambda's own report as a worker writes it.

    https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report
    """
    if fields.get("type") != "platform.report":
        return fields
    record = fields.get("record") or {}
    metrics = record.get("metrics") or {}
    found = {
        "event": "report",
        "request_id": record.get("requestId"),
        "outcome": record.get("status"),
        "duration_ms": metrics.get("durationMs", 0),
        "max_memory_used_mib": metrics.get("maxMemoryUsedMB"),
        "init_duration_ms": metrics.get("initDurationMs"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _time(fields: dict[str, Any]) -> float | None:
    for name in ("timestamp", "time"):
        value = fields.get(name)
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
            except ValueError:
                return None
    return None
