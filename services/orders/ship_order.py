"""The end of a happy order: `shipped`, as order.shipped tells it."""

from __future__ import annotations

from dataclasses import dataclass

from services.events.orders import OrderEventType, parse_order_event
from services.orders.model import OrderStatus
from services.orders.store import Orders
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class ShipOrder:
    """Part of the job of send-order-shipped, with what it needs."""

    orders: Orders

    def handle(self, message: Message) -> None:
        """Takes the order to `shipped`. order.shipped is published after the order was fulfilled,
        so nothing else can be true of it."""
        event = parse_order_event(message.body)
        if event.type is OrderEventType.SHIPPED:
            self.orders.advance(event.order_id, OrderStatus.SHIPPED)
