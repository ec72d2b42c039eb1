"""Sends the receipt for a payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.events.orders import OrderEventType
from services.mail.letter import Letter
from services.mail.order_emails import LetterWriter, OrderEmails, bill, footnote, number
from services.orders.model import Order, Transition
from services.orders.money import money
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class SendPaymentReceipt:
    """Handles the event payment.received."""

    emails: OrderEmails

    def handle(self, message: Message) -> None:
        """Sends the e-mail for one event. Raises DeliveryUnknownError."""
        self.emails.send(message, LETTERS)


def _paid(order: Order, _history: tuple[Transition, ...]) -> Letter:
    total = money(order.total_minor, order.currency)
    return Letter(
        subject=f"Your receipt for order {number(order)}",
        headline=f"We have received {total}.",
        lines=("This is your receipt. Your prints are being made.",),
        rows=bill(order),
        footnote=footnote(order),
    )


LETTERS: Mapping[OrderEventType, LetterWriter] = {
    OrderEventType.PAYMENT_RECEIVED: _paid,
}
