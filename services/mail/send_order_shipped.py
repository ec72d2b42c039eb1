"""Marks an order as shipped, and sends the e-mail about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.events.orders import OrderEventType
from services.mail.headers import one_line
from services.mail.letter import Letter
from services.mail.order_emails import (
    LetterWriter,
    OrderEmails,
    address,
    footnote,
    number,
    quantity_of,
)
from services.orders.model import Order, Transition
from services.orders.ship_order import ShipOrder
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class SendOrderShipped:
    """Handles the event order.shipped."""

    ship_order: ShipOrder
    emails: OrderEmails

    def handle(self, message: Message) -> None:
        """Marks the order, then sends the e-mail. Raises DeliveryUnknownError."""
        self.ship_order.handle(message)
        self.emails.send(message, LETTERS)


def _shipped(order: Order, history: tuple[Transition, ...]) -> Letter:
    warnings = tuple(
        one_line(str(text)) for step in history for text in step.detail.get("warnings", ())
    )
    resolution = (f"Some may look a little soft. {' '.join(warnings)}",) if warnings else ()
    return Letter(
        subject=f"Your prints are on their way: order {number(order)}",
        headline="Your prints are on their way.",
        lines=(f"We deliver them to {address(order)}.", *resolution),
        rows=tuple((quantity_of(line.quantity, line.product_name), "") for line in order.lines),
        footnote=footnote(order),
    )


LETTERS: Mapping[OrderEventType, LetterWriter] = {
    OrderEventType.SHIPPED: _shipped,
}
