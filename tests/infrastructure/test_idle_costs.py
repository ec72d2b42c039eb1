"""The page of idle costs is what today's plans cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.operations.cost.idle import idle_bill
from services.operations.cost.prices import read_prices
from tests.infrastructure import idle_costs

pytestmark = pytest.mark.slow


def test_page_of_idle_costs_is_current(tmp_path: Path) -> None:
    with idle_costs.planner(tmp_path) as lab:
        assert idle_costs.page(lab) == idle_costs.PAGE.read_text(encoding="utf-8"), (
            "run `make idle-costs`"
        )
        photos = lab.plan(**idle_costs.PHOTOS_ONLY)
    assert idle_bill(photos, read_prices()).unpriced == ()
