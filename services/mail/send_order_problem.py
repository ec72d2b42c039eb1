"""Sends the e-mail about an order that is not printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.events.orders import OrderEventType
from services.mail.headers import one_line
from services.mail.letter import Letter
from services.mail.order_emails import LetterWriter, OrderEmails, bill, footnote, number
from services.orders.model import Order, Transition
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class SendOrderProblem:
    """Handles the events of orders that end without prints."""

    emails: OrderEmails

    def handle(self, message: Message) -> None:
        """Sends the e-mail for one event. Raises DeliveryUnknownError."""
        self.emails.send(message, LETTERS)


def _rejected(order: Order, history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"We cannot print your order {number(order)}",
        headline="We cannot print this order.",
        lines=(one_line(history[-1].cause) if history else "", "Nothing was charged."),
        footnote=footnote(order),
    )


def _out_of_stock(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"Out of stock: order {number(order)}",
        headline="We are out of the paper that you ordered.",
        lines=(
            "There is not enough left for the whole order, so we have not started it. Nothing "
            "was charged. Please order again in some days, or choose another paper.",
        ),
        rows=bill(order),
        footnote=footnote(order),
    )


def _payment_declined(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"Your payment was declined: order {number(order)}",
        headline="Your payment was declined.",
        lines=(
            "Your bank did not let us charge you, so we have not started your order. Nothing "
            "was charged. Please order again with another payment method.",
        ),
        rows=bill(order),
        footnote=footnote(order),
    )


def _cancelled(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"Cancelled: order {number(order)}",
        headline="Your order is cancelled.",
        lines=(
            "You asked us to cancel it. If you were charged, the money is on its way back to you.",
        ),
        rows=bill(order),
        footnote=footnote(order),
    )


def _failed(order: Order, _history: tuple[Transition, ...]) -> Letter:
    returned = (
        "What you were charged is on its way back to you."
        if order.refund_id is not None
        else "You were not charged."
    )
    return Letter(
        subject=f"Something went wrong with your order {number(order)}",
        headline="We could not finish your order.",
        lines=(
            f"Something went wrong in our lab, not with your photos. {returned}",
            "We are sorry. Please order again; if it happens again, reply to this e-mail.",
        ),
        rows=bill(order),
        footnote=footnote(order),
    )


LETTERS: Mapping[OrderEventType, LetterWriter] = {
    OrderEventType.REJECTED: _rejected,
    OrderEventType.OUT_OF_STOCK: _out_of_stock,
    OrderEventType.PAYMENT_DECLINED: _payment_declined,
    OrderEventType.CANCELLED: _cancelled,
    OrderEventType.FAILED: _failed,
}
