"""Pauses."""

from __future__ import annotations

import pytest

from services.worker.backoff import pause


@pytest.mark.parametrize(
    ("attempt", "lowest", "highest"),
    [(1, 2.5, 5), (2, 5, 10), (3, 10, 20), (8, 320, 640), (9, 450, 900), (10_000, 450, 900)],
)
def test_pauses_double_up_to_the_cap_with_jitter(
    attempt: int, lowest: float, highest: float
) -> None:
    assert pause(attempt, 5, 900, draw=lambda: 0.0) == lowest
    assert pause(attempt, 5, 900, draw=lambda: 1.0) == highest


def test_jitter_is_there() -> None:
    assert len({pause(3, 5, 900) for _ in range(20)}) > 1


def test_no_pause_is_possible() -> None:
    assert pause(7, 0, 900) == 0
