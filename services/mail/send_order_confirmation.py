"""Sends the e-mail that confirms an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.events.orders import OrderEventType
from services.mail.letter import Letter
from services.mail.order_emails import LetterWriter, OrderEmails, address, bill, footnote, number
from services.orders.model import Order, Transition
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class SendOrderConfirmation:
    """Handles the event order.created."""

    emails: OrderEmails

    def handle(self, message: Message) -> None:
        """Sends the e-mail for one event. Raises DeliveryUnknownError."""
        self.emails.send(message, LETTERS)


def _created(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"We have your order {number(order)}",
        headline="Thank you for your order.",
        lines=(
            "We check your photos, reserve the paper, and then charge you. We send you another "
            "e-mail when that is done.",
            f"We deliver it to {address(order)}.",
        ),
        rows=bill(order),
        footnote=footnote(order),
    )


LETTERS: Mapping[OrderEventType, LetterWriter] = {
    OrderEventType.CREATED: _created,
}
