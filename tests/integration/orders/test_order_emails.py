"""The functions that send e-mails about orders, with the emulator's SES and DynamoDB."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from functools import partial
from typing import Any

import pytest

from services.accounts.users import Users
from services.events.orders import OrderEventType, order_event, publish
from services.mail import (
    send_order_confirmation,
    send_order_problem,
    send_order_shipped,
    send_payment_receipt,
)
from services.mail.letter import Stationery
from services.mail.order_emails import OrderEmails
from services.mail.outbox import Outbox
from services.mail.recipients import Recipients, Suppression
from services.mail.send_payment_receipt import ReceiptConfiguration
from services.orders.model import Order, OrderStatus
from services.orders.store import Orders
from services.platform.errors import PermanentError
from services.platform.functions.sqs import Message
from services.platform.idempotency import IdempotencyStore
from tests.integration.orders.environment import OrderFactory, OrderResources
from tests.support.at_once import at_once
from tests.support.waiting import HTTP_SECONDS, scaled

SENDER = "Darkroom <orders@darkroom.example>"
NO_ORDER = str(uuid.UUID(int=0))


class Recorder:
    """A fake SNS client that records published messages."""

    def __init__(self) -> None:
        self.text = ""

    def publish(self, **arguments: Any) -> None:
        self.text = arguments["Message"]


LETTERS = {
    **send_order_confirmation.LETTERS,
    **send_order_problem.LETTERS,
    **send_order_shipped.LETTERS,
    **send_payment_receipt.letters(ReceiptConfiguration(None, "VAT", 19.0)),
}


def handle(orders: Orders, outbox: Outbox, message: Message) -> None:
    """Sends the e-mail as the function for the event does."""
    OrderEmails(orders, outbox).send(message, LETTERS)


def message(type_: OrderEventType, order_id: str, *, wrapped: bool = False) -> Message:
    recorder = Recorder()
    publish(recorder, "topic", order_event(type_, order_id))
    text = recorder.text
    if wrapped:
        text = json.dumps({"Type": "Notification", "Message": text})
    return Message("m", text, 1, False, time.monotonic() + 30)


@pytest.fixture
def outbox(resources: OrderResources) -> Outbox:
    dynamodb = resources.session.client("dynamodb")
    resources.session.client("ses").verify_email_identity(EmailAddress="orders@darkroom.example")
    return Outbox(
        resources.session.client("ses"),
        IdempotencyStore(dynamodb, resources.table, 45.0, 3600.0),
        Recipients(dynamodb, resources.recipients_table),
        Stationery(SENDER),
        "https://shop.example",
    )


def recipients_of(outbox: Outbox) -> Recipients:
    assert outbox.recipients is not None
    return outbox.recipients


def ordered(factory: OrderFactory, orders: Orders) -> Order:
    """An order with a recipient of its own."""
    recipient = f"{uuid.uuid4().hex}@darkroom.example"
    new = factory.new(factory.default_user, (factory.product(orders), 2), recipient=recipient)
    return orders.create(new)


def mails(resources: OrderResources, recipient: str) -> list[dict[str, Any]]:
    """The e-mails that SES accepted for the recipient."""
    url = f"{resources.session.endpoint}/_ministack/ses/messages"
    with urllib.request.urlopen(url, timeout=scaled(HTTP_SECONDS)) as answer:
        sent = json.load(answer)
    return [
        mail
        for account in sent["messages"].values()
        for mail in account
        if mail["To"] == [recipient]
    ]


def test_emails_of_a_shipped_order(
    factory: OrderFactory, orders: Orders, resources: OrderResources, outbox: Outbox
) -> None:
    order = ordered(factory, orders)
    types = [OrderEventType.CREATED, OrderEventType.PAYMENT_RECEIVED, OrderEventType.SHIPPED]
    for type_ in types:
        handle(orders, outbox, message(type_, order.id))
    sent = mails(resources, order.recipient)
    assert [mail["Subject"].replace(f" {order.id[:8]}", "") for mail in sent] == [
        "We have your order", "Your receipt for order", "Your prints are on their way: order",
    ]  # fmt: skip
    assert {mail["Source"] for mail in sent} == {SENDER}


def test_email_greets_the_customer_and_links_to_the_order(
    factory: OrderFactory, orders: Orders, resources: OrderResources, outbox: Outbox
) -> None:
    order = ordered(factory, orders)
    handle(orders, outbox, message(OrderEventType.CREATED, order.id))
    (mail,) = mails(resources, order.recipient)
    name = Users(orders.database).name_of(order.user_id)
    assert name
    assert f"Hello {name}," in mail["BodyText"]
    assert f"https://shop.example/orders/{order.id}" in mail["BodyText"]


@pytest.mark.parametrize("type_", OrderEventType)
def test_email_repeated_event_is_sent_once(
    factory: OrderFactory,
    orders: Orders,
    resources: OrderResources,
    outbox: Outbox,
    type_: OrderEventType,
) -> None:
    order = ordered(factory, orders)
    for wrapped in (False, True, False):
        handle(orders, outbox, message(type_, order.id, wrapped=wrapped))
    assert len(mails(resources, order.recipient)) == 1


def test_email_concurrent_events_are_sent_once(
    factory: OrderFactory, orders: Orders, resources: OrderResources, outbox: Outbox
) -> None:
    order = ordered(factory, orders)
    copy = message(OrderEventType.CREATED, order.id)
    outcomes = at_once([partial(handle, factory.orders(), outbox, copy) for _ in range(5)])
    assert None in outcomes
    assert len(mails(resources, order.recipient)) == 1


def test_email_shows_the_current_order(
    factory: OrderFactory, orders: Orders, resources: OrderResources, outbox: Outbox
) -> None:
    """The refund is recorded before order.failed is published."""
    order = ordered(factory, orders)
    orders.advance(order.id, OrderStatus.FAILED)
    orders.settle(order.id, "re_1")
    handle(orders, outbox, message(OrderEventType.FAILED, order.id))
    (mail,) = mails(resources, order.recipient)
    assert "is on its way back to you" in mail["BodyText"]


def test_email_about_an_order_is_sent_to_an_unsubscribed_recipient(
    factory: OrderFactory, orders: Orders, resources: OrderResources, outbox: Outbox
) -> None:
    order = ordered(factory, orders)
    recipients_of(outbox).choose_photo_emails(order.recipient, wanted=False)
    handle(orders, outbox, message(OrderEventType.CREATED, order.id))
    assert len(mails(resources, order.recipient)) == 1


@pytest.mark.parametrize("reason", Suppression)
def test_email_about_an_order_is_not_sent_to_a_suppressed_address(
    factory: OrderFactory,
    orders: Orders,
    resources: OrderResources,
    outbox: Outbox,
    reason: Suppression,
) -> None:
    order = ordered(factory, orders)
    recipients_of(outbox).suppress(order.recipient.upper(), reason)
    handle(orders, outbox, message(OrderEventType.CREATED, order.id))
    assert mails(resources, order.recipient) == []


@pytest.mark.parametrize("order_id", [NO_ORDER, "x", "x\0"])
def test_email_event_of_unknown_order_is_a_permanent_error(
    orders: Orders, outbox: Outbox, order_id: str
) -> None:
    with pytest.raises(PermanentError, match="not found"):
        handle(orders, outbox, message(OrderEventType.CREATED, order_id))


@pytest.mark.parametrize("body", ["", "{}", '{"Type": "Notification", "Message": "x"}'])
def test_email_malformed_message_is_a_permanent_error(
    orders: Orders, outbox: Outbox, body: str
) -> None:
    with pytest.raises(PermanentError, match="expected"):
        handle(orders, outbox, Message("m", body, 1, False, time.monotonic() + 30))
