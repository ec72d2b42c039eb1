"""CheckInventory: reserves the paper for the whole order, or for none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.orders.loading import advance, last_detail, order_under_way
from services.orders.model import OrderStatus, OutOfStock
from services.orders.store import Orders
from services.platform.functions.task import Task

_CAUSE = "There is not enough paper in stock for this order."


@dataclass(frozen=True)
class CheckInventory:
    """The step, with what it needs."""

    orders: Orders

    def run(self, given: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Takes the order to `reserved`. Raises OutOfStock, and the order has ended with it."""
        order = order_under_way(self.orders, given)
        if order.status is not OrderStatus.OUT_OF_STOCK:
            try:
                advance(self.orders, order, OrderStatus.RESERVED)
            except OutOfStock as error:
                order = advance(
                    self.orders,
                    order,
                    OrderStatus.OUT_OF_STOCK,
                    _CAUSE,
                    {"missing": {product: list(n) for product, n in error.missing.items()}},
                )
        if order.status is OrderStatus.OUT_OF_STOCK:
            # No payment was opened yet.
            self.orders.settle(order.id, None)
            _, detail = last_detail(self.orders, order)
            missing = {name: (n[0], n[1]) for name, n in detail.get("missing", {}).items()}
            raise OutOfStock(order.id, missing)
        return {"prints": sum(line.quantity for line in order.lines)}
