"""What the e-mails about orders share: finding the order, and the parts of a letter.

Events are small; an e-mail describes the order as Postgres has it when the e-mail is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.accounts.users import Users
from services.events.orders import OrderEventType, parse_order_event
from services.mail.headers import one_line
from services.mail.letter import Letter
from services.mail.outbox import Outbox
from services.mail.recipients import EmailKind
from services.orders.model import Order, Transition
from services.orders.money import money
from services.orders.store import Orders
from services.platform import log
from services.platform.errors import PermanentError
from services.platform.functions.sqs import Message

# The characters of an order's id in subjects; the whole id is in the footnote.
_SHORT_ID_CHARACTERS = 8

# Writes the letter about an order from the order and its history, oldest transition first.
LetterWriter = Callable[[Order, tuple[Transition, ...]], Letter]


@dataclass(frozen=True)
class OrderEmails:
    """Sends e-mails about orders."""

    orders: Orders
    outbox: Outbox

    def send(self, message: Message, letters: Mapping[OrderEventType, LetterWriter]) -> None:
        """Sends the e-mail for one order event to the order's recipient.

        Raises PermanentError for an event without a letter and for an unknown order,
        DeliveryUnknownError when an earlier attempt has an unknown outcome.
        """
        event = parse_order_event(message.body)
        log.bind(order_id=event.order_id, event_id=event.id)
        if event.type not in letters:
            expected = ", ".join(letters)
            raise PermanentError(f"no e-mail for the event {event.type}: expected {expected}")
        order = self.orders.get(event.order_id)
        if order is None:
            raise PermanentError(f"order {event.order_id} not found")
        letter = dataclasses.replace(
            letters[event.type](order, self.orders.transitions(order.id)),
            name=Users(self.orders.database).name_of(order.user_id) or "",
            link=self.outbox.link("Your order", "orders", order.id),
            reference=order.id,
        )
        self.outbox.send(
            event.id, order.recipient, letter, EmailKind.ESSENTIAL, replayed=message.replayed
        )


def bill(order: Order) -> tuple[tuple[str, str], ...]:
    """The rows of an order's lines with their prices, and of the total."""
    lines = tuple(
        (
            quantity_of(line.quantity, line.product_name),
            money(line.quantity * line.unit_price_minor, order.currency),
        )
        for line in order.lines
    )
    return (*lines, ("Total", money(order.total_minor, order.currency)))


def quantity_of(quantity: int, product: str) -> str:
    """Such as "2 × Poster"."""
    return f"{quantity} × {one_line(product)}"


def address(order: Order) -> str:
    """The delivery address in one line."""
    to = order.delivery
    parts = (to.name, to.line1, to.line2 or "", f"{to.postcode} {to.city}", to.country)
    return ", ".join(one_line(part) for part in parts if part.strip())


def number(order: Order) -> str:
    """The short form of the order's id, for subjects."""
    return order.id[:_SHORT_ID_CHARACTERS]


def footnote(order: Order) -> str:
    """The last line of an e-mail about the order."""
    return f"order {order.id}"
