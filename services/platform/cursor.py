"""Pages of a list and their cursors. A cursor is opaque to clients, so its content may change."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from services.platform import timestamps
from services.platform.functions.http import INVALID_REQUEST, HttpProblem
from services.platform.validation import FieldError, shown

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list. `next_cursor` is None on the last page."""

    items: Sequence[Item]
    next_cursor: str | None


def page(found: Sequence[Item], limit: int, cursor_after: Callable[[Item], str]) -> Page[Item]:
    """The first `limit` items of `found`.

    Query `limit + 1` items: the extra one shows that another page follows. `cursor_after` returns
    the cursor of the page that begins after an item.
    """
    items = found[:limit]
    return Page(items, cursor_after(items[-1]) if len(found) > limit else None)


def encode(parts: Sequence[str]) -> str:
    """A URL-safe cursor that holds `parts`."""
    text = json.dumps(list(parts), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def encode_position(created_at: datetime, identifier: str) -> str:
    """The cursor of a list that is sorted by creation time, then UUID."""
    return encode([timestamps.format_utc(created_at, "microseconds"), identifier])


def decode(cursor: str, length: int) -> list[str]:
    """The `length` parts of a cursor. Raises HttpProblem for text that `encode` did not return.

    A cursor is neither secret nor signed: use its parts only as a position in a list that the
    caller may read.
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
        raise invalid_cursor(cursor)
    return parts


def decode_position(cursor: str) -> tuple[datetime, str]:
    """The creation time in UTC and the UUID of an `encode_position` cursor. Raises HttpProblem."""
    at, identifier = decode(cursor, 2)
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is not None:
            # Postgres rejects offsets of 16 hours and more; UTC has none.
            return moment.astimezone(UTC), str(uuid.UUID(identifier))
    except (ValueError, OverflowError):
        pass
    raise invalid_cursor(cursor)


def invalid_cursor(cursor: str) -> HttpProblem:
    """The 400 response to a cursor that does not belong to the list."""
    return HttpProblem(
        INVALID_REQUEST,
        "The cursor does not belong to this list; leave it out to start with the first page.",
        [FieldError("cursor", "`next_cursor` of an earlier page", shown(cursor))],
    )
