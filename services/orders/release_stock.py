"""ReleaseStock: gives back what an order holds that ended without prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.orders.loading import order_given
from services.orders.store import Orders
from services.platform.functions.task import Task


@dataclass(frozen=True)
class ReleaseStock:
    """The step, with what it needs."""

    orders: Orders

    def run(self, given: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Sees to it that nothing is held for the order. Its end has released the paper in the
        same transaction already: what is asked here again, the machine's text can be held to."""
        order = order_given(self.orders, given)
        self.orders.release_stock(order.id)
        return {"status": order.status.value}
