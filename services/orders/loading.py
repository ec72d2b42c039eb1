"""What every step begins with: the order that it was given, and whether that still goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.orders.model import IllegalTransition, Order, OrderNotFound, OrderStatus
from services.orders.store import Orders
from services.platform import log
from services.platform.errors import PermanentError

_GIVEN_UP = frozenset({OrderStatus.CANCELLED, OrderStatus.FAILED})


class OrderEnded(PermanentError):  # noqa: N818  its name is read by people, in a state machine
    """The order was cancelled, or has failed, meanwhile: nothing more is to be done for it."""


def order_given(orders: Orders, given: Mapping[str, Any]) -> Order:
    """The order that a task or an event names by `order_id`. Raises OrderNotFound."""
    order_id = given.get("order_id")
    order = orders.get(order_id) if isinstance(order_id, str) and order_id else None
    if order is None:
        raise OrderNotFound(f"expected the id of an order in order_id, got {order_id!r}")
    log.bind(order_id=order.id)
    return order


def order_under_way(orders: Orders, given: Mapping[str, Any]) -> Order:
    """The order, unless it was given up. Raises OrderEnded and OrderNotFound."""
    order = order_given(orders, given)
    if order.status in _GIVEN_UP:
        raise OrderEnded(f"order {order.id} is {order.status}")
    return order


def advance(
    orders: Orders,
    order: Order,
    to: OrderStatus,
    cause: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Order:
    """`orders.advance`, with OrderEnded in place of IllegalTransition for an order that was given
    up meanwhile."""
    try:
        moved = orders.advance(order.id, to, cause, detail)
    except IllegalTransition as error:
        if error.current in _GIVEN_UP:
            raise OrderEnded(f"order {order.id} is {error.current} since") from error
        raise
    if moved.status in _GIVEN_UP:
        raise OrderEnded(f"order {order.id} is {moved.status} since")
    return moved


def last_detail(orders: Orders, order: Order) -> tuple[str, Mapping[str, Any]]:
    """Cause and detail of the step that took the order to where it is."""
    last = orders.transitions(order.id)[-1]
    return last.cause, last.detail
