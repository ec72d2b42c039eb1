from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from services.platform import cursor
from services.platform.functions.http import HttpProblem

ID = str(uuid.UUID(int=7))


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("parts", [["a"], ["ä\n", "?/+"], [ID, "x" * 150]])
def test_a_cursor_holds_its_parts(parts: list[str]) -> None:
    text = cursor.encode(parts)
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()  # as it is in a URL
    assert cursor.decode(text, len(parts)) == parts


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "ä", "a", "bm9uZQ", encoded(None), encoded({}), encoded(["a"]), encoded(["a", ""]),
        encoded(["a", 1]), encoded(["a", "\0"]), encoded(["a", "b", "c"]), "W1tb" * 60_000,
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(HttpProblem) as caught:
        cursor.decode(text, 2)
    assert [error.field for error in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-01-02T12:00:00+00:00", 12),
        ("2026-01-02T12:00:00Z", 12),
        ("2026-01-02T22:30:00+10:30", 12),
        ("2026-01-01T12:01:00-23:59", 12),
    ],
)
def test_a_place_is_told_in_utc(text: str, hour: int) -> None:
    at, identifier = cursor.decode_place(cursor.encode([text, ID.upper()]))
    assert (at, identifier) == (datetime(2026, 1, 2, hour, tzinfo=UTC), ID)
    assert at.tzinfo is UTC


@pytest.mark.parametrize(
    ("at", "identifier"),
    [
        ("yesterday", ID),
        ("2026-01-02T12:00:00", ID),
        ("0001-01-01T00:00:00+10:00", ID),
        ("9999-12-31T23:59:59-10:00", ID),
        ("2026-01-02T12:00:00Z", "x"),
        ("2026-01-02T12:00:00Z", ID + "0"),
    ],
)
def test_what_is_no_place(at: str, identifier: str) -> None:
    with pytest.raises(HttpProblem):
        cursor.decode_place(cursor.encode([at, identifier]))
