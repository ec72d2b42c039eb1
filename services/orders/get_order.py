"""get-order: answers GET /orders/{id}."""

from __future__ import annotations

from dataclasses import dataclass

from services.orders import api
from services.orders.model import Order
from services.orders.store import Orders
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class GetOrder:
    """Shows one of the caller's orders."""

    orders: Orders

    def handle(self, request: Request) -> Response:
        """Returns 200 with the order and its history. Raises HttpProblem (404)."""
        order = load_own_order(self.orders, request)
        return Response(200, api.details(order, self.orders.transitions(order.id)))


def load_own_order(orders: Orders, request: Request) -> Order:
    """The caller's order that the path names.

    Raises HttpProblem (404) for an unknown order and for another customer's alike, so that ids
    cannot be probed.
    """
    wanted: api.OrderParameters = request.parameters
    order = orders.of_user(request.caller.user_id, wanted.id)
    if order is None:
        raise HttpProblem(api.ORDER_NOT_FOUND, f"You have no order {wanted.id}.")
    log.bind(order_id=order.id)
    return order
