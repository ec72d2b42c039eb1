"""Loads the order that a task or an event names, and moves it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.orders.model import IllegalTransition, Order, OrderNotFound, OrderStatus, Transition
from services.orders.store import Orders
from services.platform import log
from services.platform.errors import PermanentError

_ABANDONED = frozenset({OrderStatus.CANCELLED, OrderStatus.FAILED})


class OrderEnded(PermanentError):  # noqa: N818  the state machine catches errors by class name
    """The order was cancelled or has failed; its workflow must not go on."""


def load_order(orders: Orders, source: Mapping[str, Any]) -> Order:
    """The order whose id is `source["order_id"]`, whatever its status. Raises OrderNotFound."""
    order_id = source.get("order_id")
    order = orders.get(order_id) if isinstance(order_id, str) else None
    if order is None:
        raise OrderNotFound(f"order not found: order_id is {order_id!r}")
    log.correlate(order.id)
    log.bind(order_id=order.id)
    return order


def load_active_order(orders: Orders, source: Mapping[str, Any]) -> Order:
    """As `load_order`, and raises OrderEnded for an order that was cancelled or has failed."""
    order = load_order(orders, source)
    _check_active(order.id, order.status)
    return order


def advance(
    orders: Orders,
    order: Order,
    to: OrderStatus,
    cause: str = "",
    detail: Mapping[str, Any] | None = None,
) -> Order:
    """`orders.advance` for an active order.

    Raises OrderEnded if the order was cancelled or has failed since it was loaded, and otherwise
    the errors of `Orders.advance`.
    """
    try:
        moved = orders.advance(order.id, to, cause, detail)
    except IllegalTransition as error:
        _check_active(order.id, error.current)
        raise
    _check_active(moved.id, moved.status)
    return moved


def last_transition(orders: Orders, order: Order) -> Transition:
    """The transition that took the order to its current status."""
    return orders.transitions(order.id)[-1]


def _check_active(order_id: str, status: OrderStatus) -> None:
    if status in _ABANDONED:
        raise OrderEnded(f"order {order_id} is {status}")
