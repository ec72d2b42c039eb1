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
def test_decode_after_encode_returns_the_parts(parts: list[str]) -> None:
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
def test_decode_invalid_cursor_raises(text: str) -> None:
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
def test_decode_position_with_offset_returns_utc(text: str, hour: int) -> None:
    at, identifier = cursor.decode_position(cursor.encode([text, ID.upper()]))
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
def test_decode_position_invalid_raises(at: str, identifier: str) -> None:
    with pytest.raises(HttpProblem):
        cursor.decode_position(cursor.encode([at, identifier]))


def test_encode_position_round_trips() -> None:
    created_at = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
    assert cursor.decode_position(cursor.encode_position(created_at, ID)) == (created_at, ID)


@pytest.mark.parametrize(
    ("found", "items", "next_cursor"),
    [
        ([], [], None),
        (["a"], ["a"], None),
        (["a", "b"], ["a", "b"], None),
        (["a", "b", "c"], ["a", "b"], "after b"),
    ],
)
def test_page_with_an_extra_item_has_a_next_cursor(
    found: list[str], items: list[str], next_cursor: str | None
) -> None:
    page = cursor.page(found, 2, lambda item: f"after {item}")
    assert (page.items, page.next_cursor) == (items, next_cursor)
