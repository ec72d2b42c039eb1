"""The console's contract of orders."""

from typing import get_args

from services.orders.console_api import ANY, StatusName
from services.orders.model import OrderStatus


def test_status_parameter_has_every_status() -> None:
    assert set(get_args(StatusName)) == {ANY, *(status.value for status in OrderStatus)}
