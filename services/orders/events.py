"""Events about an order, for the topic order-events."""

from __future__ import annotations

from services.events.orders import OrderEvent, OrderEventType, order_event
from services.orders.model import Order


def event_about(order: Order, type_: OrderEventType) -> OrderEvent:
    """A new event of the order and its owner, at the current time."""
    return order_event(type_, order.id, owner=order.user_id)
