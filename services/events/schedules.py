"""Messages of EventBridge schedules.

https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-events.html
"""

from __future__ import annotations

from services.events.cloudevents import open_envelope
from services.platform.errors import PermanentError

SOURCE, DETAIL_TYPE = "aws.events", "Scheduled Event"


def check_scheduled(body: str) -> None:
    """Raises PermanentError when `body` is not a message of a schedule."""
    document = open_envelope(body)
    got = document.get("source"), document.get("detail-type")
    if got != (SOURCE, DETAIL_TYPE):
        raise PermanentError(
            "expected a message of a schedule, with source "
            f"{SOURCE} and detail-type {DETAIL_TYPE}, got {body[:80]!r}"
        )
