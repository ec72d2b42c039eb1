"""One lab for all tests of the order workflow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import order_lab as labs
from tests.support.order_lab import OrderLab


@pytest.fixture(scope="package")
def order_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrderLab]:
    with labs.order_lab(tmp_path_factory.mktemp("orders")) as lab:
        yield lab
