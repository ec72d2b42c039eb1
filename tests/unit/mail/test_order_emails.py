"""The letters about orders: subjects, texts, amounts, and no internal values."""

from __future__ import annotations

import dataclasses
import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest

from services.events.orders import OrderEvent, OrderEventType, order_event
from services.mail import (
    send_order_confirmation,
    send_order_problem,
    send_order_shipped,
    send_payment_receipt,
)
from services.mail.letter import EVENT_ID_HEADER, Stationery, write
from services.mail.send_payment_receipt import ReceiptConfiguration
from services.orders.model import (
    Delivery,
    Line,
    Order,
    OrderStatus,
    Orientation,
    Transition,
)

SENDER = "Darkroom <photos@darkroom.example>"
STATIONERY = Stationery(SENDER)
RECEIPT = ReceiptConfiguration("Darkroom GmbH, Hafenstr. 9, 20457 Hamburg, DE1", "VAT", 19.0)
ORDER_ID = "6f9c1f0e-3a52-4d0b-9d55-2f6f3f2c9d10"
NUMBER = ORDER_ID[:8]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LINE = Line(
    number=1,
    product_id="print-10x15-glossy",
    product_name="Print 10 x 15 cm",
    paper="glossy",
    width_mm=100,
    height_mm=150,
    unit_price_minor=39,
    image_id="0" * 31 + "1",
    quantity=12,
    focus=None,
    orientation=Orientation.FOLLOWS_PHOTO,
)
POSTER = dataclasses.replace(
    LINE, number=2, product_id="poster", product_name="Poster", unit_price_minor=120_000, quantity=1
)
ORDER = Order(
    id=ORDER_ID,
    user_id="b9d7a1f2-0000-4000-8000-00000000abcd",
    recipient="anna@darkroom.example",
    status=OrderStatus.PAID,
    currency="EUR",
    total_minor=120_468,
    payment_method="pm_secret_of_annas",
    delivery=Delivery("Anna Muster", "Hafenstr. 1", "20457", "Hamburg", "DE", line2="2. Stock"),
    lines=(LINE, POSTER),
    created_at=AT,
    updated_at=AT,
    refund_id="re_secret",
)
HISTORY = (
    Transition(1, None, OrderStatus.CREATED, AT),
    Transition(
        2,
        OrderStatus.CREATED,
        OrderStatus.VALIDATED,
        AT,
        detail={"warnings": ["Line 1 (Print 10 x 15 cm): 120 dpi."], "payment_id": "pi_secret"},
    ),
)
# For each event: the subject, texts that the e-mail contains, and texts that it must not contain.
LETTERS: dict[OrderEventType, tuple[str, list[str], list[str]]] = {
    OrderEventType.CREATED: (
        f"We have your order {NUMBER}",
        [
            "12 × Print 10 x 15 cm  4.68 EUR",
            "1 × Poster             1,200.00 EUR",
            "Total                  1,204.68 EUR",
            "Anna Muster, Hafenstr. 1, 2. Stock, 20457 Hamburg, DE",
        ],
        ["received", "charged."],
    ),
    OrderEventType.PAYMENT_RECEIVED: (
        f"Your receipt for order {NUMBER}",
        ["We have received 1,204.68 EUR.", "Total                  1,204.68 EUR"],
        [],
    ),
    OrderEventType.SHIPPED: (
        f"Your prints are on their way: order {NUMBER}",
        [
            "12 × Print 10 x 15 cm",
            "a little soft. Line 1 (Print 10 x 15 cm): 120 dpi.",
            "Hafenstr.",
        ],
        ["EUR"],
    ),
    OrderEventType.REJECTED: (
        f"We cannot print your order {NUMBER}",
        ["Line 1: the photo is too small.", "Nothing was charged."],
        ["EUR"],
    ),
    OrderEventType.OUT_OF_STOCK: (
        f"Out of stock: order {NUMBER}",
        ["We are out of the paper that you ordered.", "charged", "12 × Print 10 x 15 cm"],
        [],
    ),
    OrderEventType.PAYMENT_DECLINED: (
        f"Your payment was declined: order {NUMBER}",
        ["Your bank did not let us charge you", "Total                  1,204.68 EUR"],
        ["insufficient"],
    ),
    OrderEventType.CANCELLED: (
        f"Cancelled: order {NUMBER}",
        ["Your order is cancelled.", "If you were charged, the money is on its way back to you."],
        [],
    ),
    OrderEventType.FAILED: (
        f"Something went wrong with your order {NUMBER}",
        ["What you were charged is on its way back to you."],
        ["You were not charged.", "Traceback"],
    ),
}
# The last transition, for letters that depend on it or could reveal it.
LAST: dict[OrderEventType, Transition] = {
    OrderEventType.REJECTED: Transition(
        3, OrderStatus.CREATED, OrderStatus.REJECTED, AT, "Line 1: the photo is too small."
    ),
    OrderEventType.PAYMENT_DECLINED: Transition(
        3,
        OrderStatus.RESERVED,
        OrderStatus.PAYMENT_DECLINED,
        AT,
        "The payment was declined.",
        {"reason": "insufficient_funds"},
    ),
    OrderEventType.FAILED: Transition(
        3,
        OrderStatus.PAID,
        OrderStatus.FAILED,
        AT,
        "Something went wrong in the lab.",
        {"error": "CannotPrint", "cause": "Traceback (most recent call last)"},
    ),
}
SECRETS = (ORDER.payment_method, ORDER.user_id, "re_secret", "pi_secret", LINE.image_id)
EVERY = pytest.mark.parametrize("type_", LETTERS)


WRITERS = {
    **send_order_confirmation.LETTERS,
    **send_order_problem.LETTERS,
    **send_order_shipped.LETTERS,
    **send_payment_receipt.letters(RECEIPT),
}


def serialized(type_: OrderEventType, order: Order, history: Any) -> bytes:
    return write(WRITERS[type_](order, history), STATIONERY, order.recipient, event(type_).id)


def sent(type_: OrderEventType, order: Order = ORDER, history: Any = None) -> EmailMessage:
    """The e-mail as a mail program parses it."""
    if history is None:
        history = (*HISTORY, LAST[type_]) if type_ in LAST else HISTORY
    raw = serialized(type_, order, history)
    assert raw.isascii(), "an e-mail must pass seven-bit servers"
    assert max(map(len, raw.split(b"\r\n"))) <= 998, "RFC 5322 section 2.1.1"
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def event(type_: OrderEventType) -> OrderEvent:
    return order_event(type_, ORDER_ID, charge_id="ch_secret", amount_minor=1, currency="USD")


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content


class _Words(HTMLParser):
    """Parses a page into its words and its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: set[str] = set()

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        self.elements.add(tag)


def read(html: str) -> _Words:
    words = _Words()
    words.feed(html)
    words.close()
    return words


def test_every_order_event_has_a_letter() -> None:
    assert set(LETTERS) == set(WRITERS) == set(OrderEventType)


@EVERY
def test_letter_has_expected_subject_and_text(type_: OrderEventType) -> None:
    subject, says, never = LETTERS[type_]
    message = sent(type_)
    assert (message["Subject"], message["From"], message["To"]) == (
        subject, SENDER, "anna@darkroom.example",
    )  # fmt: skip
    assert message[EVENT_ID_HEADER] == event(type_).id
    assert message["Auto-Submitted"] == "auto-generated"
    text = body(message, "plain")
    for words in says:
        assert words in text
    for words in never:
        assert words not in text
    assert text.rstrip().endswith(f"Darkroom · order {ORDER_ID}")
    # The HTML part has the same words.
    assert read(body(message, "html")).words == text.split()


@EVERY
def test_letter_contains_no_internal_values(type_: OrderEventType) -> None:
    raw = sent(type_, history=(*HISTORY, *LAST.values())).as_string()
    for secret in (*SECRETS, "ch_secret", "CannotPrint"):
        assert secret not in raw


def called(type_: OrderEventType, text: str) -> EmailMessage:
    """The e-mail for an order in which every name is `text`."""
    order = dataclasses.replace(
        ORDER,
        lines=(dataclasses.replace(LINE, product_name=text),),
        delivery=Delivery(text, text, "1", text, "DE", line2=text),
    )
    last = Transition(9, OrderStatus.CREATED, OrderStatus.REJECTED, AT, text, {"warnings": [text]})
    return sent(type_, order, (*HISTORY, last))


@EVERY
def test_names_with_markup_are_escaped(type_: OrderEventType) -> None:
    message = called(type_, "<img src=x onerror=alert(1)> & \"'")
    page = read(body(message, "html"))
    assert page.elements <= {"html", "body", "div", "h1", "p", "table", "tr", "td"}
    assert page.words == body(message, "plain").split()


@EVERY
def test_names_with_line_breaks_add_no_header_or_line(type_: OrderEventType) -> None:
    message = called(type_, "x\r\nBcc: eve@example.org\r\n\r\ny\u2028z\x1b[2J")
    assert message["Bcc"] is None
    lines = body(message, "plain").splitlines()
    assert not any(line.startswith(("Bcc", "y")) for line in lines)
    assert [line for line in lines if not line.isprintable()] == []


def test_letter_of_longest_order_lists_every_line() -> None:
    lines = tuple(dataclasses.replace(LINE, number=n, product_name="n" * 100) for n in range(1, 51))
    text = body(sent(OrderEventType.CREATED, dataclasses.replace(ORDER, lines=lines)), "plain")
    assert text.count("12 × n") == 50


@pytest.mark.parametrize(
    ("currency", "total"), [("JPY", "120,468 JPY"), ("KWD", "120.468 KWD"), ("usd", "1,204.68 USD")]
)
def test_amounts_are_in_the_currency_of_the_order(currency: str, total: str) -> None:
    order = dataclasses.replace(ORDER, currency=currency)
    assert f"We have received {total}." in body(
        sent(OrderEventType.PAYMENT_RECEIVED, order), "html"
    )


def test_letter_of_uncharged_failed_order_states_no_refund() -> None:
    text = body(sent(OrderEventType.FAILED, dataclasses.replace(ORDER, refund_id=None)), "plain")
    assert "You were not charged." in text
    assert "on its way back" not in text


def test_letter_of_sharp_prints_has_no_warning() -> None:
    assert "soft" not in body(sent(OrderEventType.SHIPPED, history=HISTORY[:1]), "plain")


def test_address_without_second_line_omits_it() -> None:
    order = dataclasses.replace(ORDER, delivery=dataclasses.replace(ORDER.delivery, line2=None))
    assert "Anna Muster, Hafenstr. 1, 20457 Hamburg, DE." in body(
        sent(OrderEventType.CREATED, order), "plain"
    )


def test_address_with_non_ascii_characters_is_unchanged() -> None:
    delivery = Delivery("李小龙 Ünal", "Øvre gate 7", "0150", "Łódź", "NO")
    text = body(
        sent(OrderEventType.SHIPPED, dataclasses.replace(ORDER, delivery=delivery)), "plain"
    )
    assert "李小龙 Ünal, Øvre gate 7, 0150 Łódź, NO" in text


def receipt(order: Order, configuration: ReceiptConfiguration = RECEIPT) -> str:
    history = (*HISTORY, Transition(3, OrderStatus.RESERVED, OrderStatus.PAID, AT))
    letter = send_payment_receipt.letters(configuration)[OrderEventType.PAYMENT_RECEIVED]
    raw = write(letter(order, history), STATIONERY, order.recipient, "event-1")
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return body(parsed, "plain")


def test_receipt_states_date_order_payment_method_seller_and_tax() -> None:
    text = receipt(ORDER)
    assert "Included VAT of 19 %   192.34 EUR" in text
    for row in (
        "Date            2026-01-02",
        f"Order           {ORDER_ID}",
        "Payment method  Card",
        "Seller          Darkroom GmbH, Hafenstr. 9, 20457 Hamburg, DE1",
    ):
        assert row in text


def test_receipt_without_tax_rate_and_seller_omits_both() -> None:
    text = receipt(ORDER, ReceiptConfiguration(None, "VAT", None))
    assert "VAT" not in text
    assert "Seller" not in text


@pytest.mark.parametrize(
    ("percent", "currency", "total", "tax"),
    [(7.7, "EUR", 10_770, "7.7 %  7.70 EUR"), (10, "JPY", 1_100, "10 %  100 JPY"),
     (0, "EUR", 500, "0 %  0.00 EUR"), (19, "EUR", 3, "19 %  0.00 EUR")],
)  # fmt: skip
def test_receipt_tax_is_the_part_included_in_the_total(
    percent: float, currency: str, total: int, tax: str
) -> None:
    order = dataclasses.replace(ORDER, total_minor=total, currency=currency, lines=())
    text = receipt(order, ReceiptConfiguration(None, "VAT", percent))
    assert f"Included VAT of {tax}" in text
