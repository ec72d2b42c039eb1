"""UTC times as text: ISO 8601, with `Z` for the zone (`2026-11-26T09:30:00.000Z`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

Precision = Literal["seconds", "milliseconds", "microseconds"]


def format_utc(moment: datetime, precision: Precision = "milliseconds") -> str:
    """`moment`, which must have a zone, as UTC text. Finer parts are cut off, not rounded."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; pass an aware datetime")
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def format_epoch(seconds: float, precision: Precision = "seconds") -> str:
    """Seconds since the Unix epoch as UTC text."""
    return format_utc(datetime.fromtimestamp(seconds, UTC), precision)


def now(precision: Precision = "milliseconds") -> str:
    """The current time as UTC text."""
    return format_utc(datetime.now(UTC), precision)


def milliseconds_since(text: str) -> float | None:
    """Milliseconds from the time in `text` (ISO 8601) until now; None for another text."""
    try:
        moment = datetime.fromisoformat(text)
        return max(0.0, (datetime.now(UTC) - moment).total_seconds() * 1000)
    except (ValueError, TypeError):  # the latter for a time without a zone
        return None
