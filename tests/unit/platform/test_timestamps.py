from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.platform import timestamps
from services.platform.timestamps import Precision

MOMENT = datetime(2026, 1, 2, 22, 30, 5, 123_999, timezone(timedelta(hours=10, minutes=30)))


@pytest.mark.parametrize(
    ("precision", "text"),
    [
        ("seconds", "2026-01-02T12:00:05Z"),
        ("milliseconds", "2026-01-02T12:00:05.123Z"),
        ("microseconds", "2026-01-02T12:00:05.123999Z"),
    ],
)
def test_format_utc_with_offset_converts_to_utc(precision: Precision, text: str) -> None:
    assert timestamps.format_utc(MOMENT, precision) == text


def test_format_utc_without_zone_raises() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        timestamps.format_utc(MOMENT.replace(tzinfo=None))


def test_format_epoch_returns_seconds() -> None:
    assert timestamps.format_epoch(1_767_355_205.9) == "2026-01-02T12:00:05Z"


def test_now_returns_the_current_time() -> None:
    before = datetime.now(UTC)
    text = timestamps.now("microseconds")
    assert before <= datetime.fromisoformat(text) <= datetime.now(UTC)
