"""Sends the receipt for a payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import ROUND_HALF_UP, Decimal

from services.events.orders import OrderEventType
from services.mail.headers import one_line
from services.mail.letter import Letter
from services.mail.order_emails import LetterWriter, OrderEmails, bill, footnote, number
from services.orders.model import Order, OrderStatus, Transition
from services.orders.money import money
from services.platform.configuration import variable
from services.platform.functions.sqs import Message

# The payment providers charge cards only: see services/payments/stripe_gateway.py.
_PAYMENT_METHOD = "Card"


@dataclass(frozen=True)
class ReceiptConfiguration:
    """Environment variables of the receipt. Prices include the tax."""

    seller: str | None = variable(
        "RECEIPT_SELLER", default=None, help="name, address and tax number; default: the imprint"
    )
    tax_name: str = variable("RECEIPT_TAX_NAME", default="VAT", help="name of the tax")
    tax_percent: float | None = variable(
        "RECEIPT_TAX_PERCENT", default=None, minimum=0, maximum=100, help="rate of the tax"
    )


@dataclass(frozen=True)
class SendPaymentReceipt:
    """Handles the event payment.received."""

    emails: OrderEmails
    configuration: ReceiptConfiguration

    def handle(self, message: Message) -> None:
        """Sends the e-mail for one event. Raises DeliveryUnknownError."""
        self.emails.send(message, letters(self.configuration))


def letters(configuration: ReceiptConfiguration) -> Mapping[OrderEventType, LetterWriter]:
    """The receipt, by the event that it is sent for."""

    def paid(order: Order, history: tuple[Transition, ...]) -> Letter:
        total = money(order.total_minor, order.currency)
        return Letter(
            subject=f"Your receipt for order {number(order)}",
            headline=f"We have received {total}.",
            lines=("This is your receipt. Your prints are being made.",),
            rows=(*bill(order), *_tax(order, configuration)),
            details=_details(order, history, configuration),
            footnote=footnote(order),
        )

    return {OrderEventType.PAYMENT_RECEIVED: paid}


def _tax(order: Order, configuration: ReceiptConfiguration) -> tuple[tuple[str, str], ...]:
    if configuration.tax_percent is None:
        return ()
    rate = Decimal(str(configuration.tax_percent))
    included = (order.total_minor * rate / (100 + rate)).to_integral_value(ROUND_HALF_UP)
    title = f"Included {configuration.tax_name} of {rate.normalize():f} %"
    return ((title, money(int(included), order.currency)),)


def _details(
    order: Order, history: tuple[Transition, ...], configuration: ReceiptConfiguration
) -> tuple[tuple[str, str], ...]:
    paid_at = next((t.at for t in history if t.to is OrderStatus.PAID), order.updated_at)
    seller = one_line(configuration.seller or "")
    return (
        ("Date", f"{paid_at.astimezone(UTC):%Y-%m-%d}"),
        ("Order", order.id),
        ("Payment method", _PAYMENT_METHOD),
        *((("Seller", seller),) if seller else ()),
    )
