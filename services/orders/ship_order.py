"""Moves an order to `shipped` on the event order.shipped; a part of send-order-shipped."""

from __future__ import annotations

from dataclasses import dataclass

from services.events.orders import OrderEventType, parse_order_event
from services.orders.model import OrderStatus
from services.orders.store import Orders
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class ShipOrder:
    """Marks orders as shipped."""

    orders: Orders

    def handle(self, message: Message) -> None:
        """Moves the order to `shipped`; ignores other events. fulfill-order publishes order.shipped
        after it moved the order to `fulfilled`, so the transition is legal."""
        event = parse_order_event(message.body)
        if event.type is OrderEventType.SHIPPED:
            self.orders.advance(event.order_id, OrderStatus.SHIPPED)
