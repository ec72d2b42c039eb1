"""release-stock: releases the paper that is reserved for an order that ended without prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.orders.loading import load_order
from services.orders.store import Orders
from services.platform.functions.task import Task


@dataclass(frozen=True)
class ReleaseStock:
    """The ReleaseStock task of the workflow."""

    orders: Orders

    def handle(self, task_input: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Releases the order's paper and returns its status.

        The transaction that ended the order released the paper already; this step makes the state
        machine correct without that knowledge. Raises OrderUnderWay and OrderNotFound.
        """
        order = load_order(self.orders, task_input)
        self.orders.release_stock(order.id)
        return {"status": order.status.value}
