"""Cursors of paged lists: opaque to clients, so that what they hold may change."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from services.platform.functions.http import INVALID_REQUEST, HttpProblem
from services.platform.validation import FieldError, shown


def encode(parts: Sequence[str]) -> str:
    """A cursor that holds `parts`."""
    text = json.dumps(list(parts), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, length: int) -> list[str]:
    """The `length` parts in a cursor. Raises HttpProblem for one that `encode` did not make.

    A cursor is no secret and is not signed: whoever reads one must take from it no more than a
    place in a list that the caller may see anyway.
    """
    try:
        parts = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        )
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if (
        not isinstance(parts, list)
        or len(parts) != length
        or not all(isinstance(part, str) and part and "\0" not in part for part in parts)
    ):
        raise foreign(cursor)
    return parts


def decode_place(cursor: str) -> tuple[datetime, str]:
    """The time, in UTC, and the UUID in the cursor of a list by time. Raises HttpProblem."""
    at, identifier = decode(cursor, 2)
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is not None:
            # In UTC, for Postgres knows no zone that is a day away.
            return moment.astimezone(UTC), str(uuid.UUID(identifier))
    except (ValueError, OverflowError):
        pass
    raise foreign(cursor)


def foreign(cursor: str) -> HttpProblem:
    """What is answered to a cursor of another list, or of none."""
    return HttpProblem(
        INVALID_REQUEST,
        "The cursor is none of this list's; leave it out to begin at the start.",
        [FieldError("cursor", "`next_cursor` of an earlier page", shown(cursor))],
    )
