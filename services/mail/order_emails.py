"""Turns an event of an order into an e-mail to whoever ordered, and sends it once.

The events are small; what an e-mail says of an order is what Postgres knows when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage

from services.events.orders import OrderEvent, OrderEventType, parse_order_event
from services.mail.letter import Letter, one_line, write
from services.mail.outbox import Outbox
from services.orders.model import Order, Transition
from services.orders.money import money
from services.orders.store import Orders
from services.platform import log
from services.platform.errors import PermanentError
from services.platform.functions.sqs import Message

# Characters of an order's id that people are shown first; the whole id is in the footnote.
_SHORT_ID = 8


@dataclass(frozen=True)
class OrderMailer:
    """The job of the functions that send an order's e-mails, with what it needs."""

    orders: Orders
    outbox: Outbox

    def handle(self, message: Message) -> None:
        """Tells the customer about one event. Raises DeliveryUnknownError."""
        event = parse_order_event(message.body)
        log.bind(order_id=event.order_id, event_id=event.id)
        order = self.orders.get(event.order_id)
        if order is None:
            raise PermanentError(f"expected an order, got {event.order_id}, which is none")
        mail = compose(event, order, self.orders.transitions(order.id), self.outbox.sender)
        self.outbox.send(event.id, order.recipient, mail, replayed=message.replayed)


def compose(
    event: OrderEvent, order: Order, history: tuple[Transition, ...], sender: str
) -> EmailMessage:
    """The e-mail that tells `order.recipient` what happened to the order."""
    return write(_LETTERS[event.type](order, history), sender, order.recipient, event.id)


def _created(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"We have your order {_number(order)}",
        headline="Thank you for your order.",
        lines=(
            "We check your photos, set the paper aside and charge you, in this order; you will "
            "hear from us at the end.",
            f"It goes to {_address(order)}.",
        ),
        rows=_bill(order),
        footnote=_footnote(order),
    )


def _paid(order: Order, _history: tuple[Transition, ...]) -> Letter:
    total = money(order.total_minor, order.currency)
    return Letter(
        subject=f"Your receipt for order {_number(order)}",
        headline=f"We have received {total}.",
        lines=("This is your receipt. Your prints are being made.",),
        rows=_bill(order),
        footnote=_footnote(order),
    )


def _shipped(order: Order, history: tuple[Transition, ...]) -> Letter:
    warnings = tuple(
        one_line(str(text)) for step in history for text in step.detail.get("warnings", ())
    )
    softly = (f"Some may look a little soft. {' '.join(warnings)}",) if warnings else ()
    return Letter(
        subject=f"Your prints are on their way: order {_number(order)}",
        headline="Your prints are on their way.",
        lines=(f"They go to {_address(order)}.", *softly),
        rows=tuple((_what(line.quantity, line.product_name), "") for line in order.lines),
        footnote=_footnote(order),
    )


def _rejected(order: Order, history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"We cannot print your order {_number(order)}",
        headline="We cannot print this order.",
        lines=(_cause(history), "Nothing was charged."),
        footnote=_footnote(order),
    )


def _out_of_stock(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"Out of stock: order {_number(order)}",
        headline="We are out of the paper that you ordered.",
        lines=(
            "There is not enough left for the whole order, so we have not begun with it. Nothing "
            "was charged. Please order again in some days, or on another paper.",
        ),
        rows=_bill(order),
        footnote=_footnote(order),
    )


def _payment_declined(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"Your payment was declined: order {_number(order)}",
        headline="Your payment was declined.",
        lines=(
            "Your bank did not let us charge you, so we have not begun with your order. Nothing "
            "was charged. Please order again with another way to pay.",
        ),
        rows=_bill(order),
        footnote=_footnote(order),
    )


def _cancelled(order: Order, _history: tuple[Transition, ...]) -> Letter:
    return Letter(
        subject=f"Cancelled: order {_number(order)}",
        headline="Your order is cancelled.",
        lines=("As you asked. If you were charged, the money is on its way back to you.",),
        rows=_bill(order),
        footnote=_footnote(order),
    )


def _failed(order: Order, _history: tuple[Transition, ...]) -> Letter:
    returned = (
        "What you were charged is on its way back to you."
        if order.refund_id is not None
        else "You were not charged."
    )
    return Letter(
        subject=f"Something went wrong with your order {_number(order)}",
        headline="We could not finish your order.",
        lines=(
            f"Something went wrong in our lab, not with your photos. {returned}",
            "We are sorry. Please order again; if it happens twice, answer to this e-mail.",
        ),
        rows=_bill(order),
        footnote=_footnote(order),
    )


_LETTERS: Mapping[OrderEventType, Callable[[Order, tuple[Transition, ...]], Letter]] = {
    OrderEventType.CREATED: _created,
    OrderEventType.PAYMENT_RECEIVED: _paid,
    OrderEventType.SHIPPED: _shipped,
    OrderEventType.REJECTED: _rejected,
    OrderEventType.OUT_OF_STOCK: _out_of_stock,
    OrderEventType.PAYMENT_DECLINED: _payment_declined,
    OrderEventType.CANCELLED: _cancelled,
    OrderEventType.FAILED: _failed,
}


def _bill(order: Order) -> tuple[tuple[str, str], ...]:
    lines = tuple(
        (
            _what(line.quantity, line.product_name),
            money(line.quantity * line.unit_price_minor, order.currency),
        )
        for line in order.lines
    )
    return (*lines, ("Total", money(order.total_minor, order.currency)))


def _what(quantity: int, product: str) -> str:
    return f"{quantity} × {one_line(product)}"


def _address(order: Order) -> str:
    to = order.delivery
    parts = (to.name, to.line1, to.line2 or "", f"{to.postcode} {to.city}", to.country)
    return ", ".join(one_line(part) for part in parts if part.strip())


def _cause(history: tuple[Transition, ...]) -> str:
    return one_line(history[-1].cause) if history else ""


def _number(order: Order) -> str:
    return order.id[:_SHORT_ID]


def _footnote(order: Order) -> str:
    return f"Darkroom · order {order.id}"
