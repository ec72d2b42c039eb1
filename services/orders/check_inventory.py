"""check-inventory: reserves the paper for all prints of an order, or for none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.orders.loading import advance, last_transition, load_active_order
from services.orders.model import FindingCode, Order, OrderStatus, OutOfStock
from services.orders.store import Orders
from services.platform.functions.task import Task

# Customers read it in the history of their order.
_CAUSE = "There is not enough paper in stock for this order."


@dataclass(frozen=True)
class CheckInventory:
    """The CheckInventory task of the workflow."""

    orders: Orders

    def handle(self, task_input: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Moves the order to `reserved` and returns its number of prints.

        Raises OutOfStock, after it moved the order to `out_of_stock`; OrderEnded; OrderNotFound.
        """
        order = load_active_order(self.orders, task_input)
        if order.status is not OrderStatus.OUT_OF_STOCK:
            try:
                advance(self.orders, order, OrderStatus.RESERVED)
            except OutOfStock as error:
                order = advance(
                    self.orders,
                    order,
                    OrderStatus.OUT_OF_STOCK,
                    _CAUSE,
                    {
                        "missing": {product: list(n) for product, n in error.missing.items()},
                        "findings": _findings(order, error),
                    },
                )
        if order.status is OrderStatus.OUT_OF_STOCK:
            # No payment exists at this step.
            self.orders.settle(order.id, None)
            detail = last_transition(self.orders, order).detail
            missing = {name: (n[0], n[1]) for name, n in detail.get("missing", {}).items()}
            raise OutOfStock(order.id, missing)
        return {"prints": sum(line.quantity for line in order.lines)}


def _findings(order: Order, error: OutOfStock) -> list[dict[str, Any]]:
    """The lines of the products of which too few are left."""
    return [
        {
            "line": line.number,
            "code": FindingCode.OUT_OF_STOCK.value,
            "available": error.missing[line.product_id][1],
        }
        for line in order.lines
        if line.product_id in error.missing
    ]
