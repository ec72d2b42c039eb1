"""The functions that write about orders, on a real SES and DynamoDB: who is told, and how often."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from functools import partial
from typing import Any

import pytest

from services.events.orders import OrderEventType, order_event, publish
from services.mail.order_emails import OrderMailer
from services.mail.outbox import Outbox
from services.orders.model import Order, OrderStatus
from services.orders.store import Orders
from services.platform.errors import PermanentError
from services.platform.functions.sqs import Message
from services.platform.idempotency import IdempotencyStore
from tests.integration.orders.conftest import Desk, Town
from tests.support.at_once import at_once

SENDER = "Darkroom <orders@darkroom.example>"
NO_ORDER = str(uuid.UUID(int=0))


class Recorder:
    """Gives the text of an event as the topic would carry it."""

    def __init__(self) -> None:
        self.text = ""

    def publish(self, **arguments: Any) -> None:
        self.text = arguments["Message"]


def message(type_: OrderEventType, order_id: str, *, wrapped: bool = False) -> Message:
    recorder = Recorder()
    publish(recorder, "topic", order_event(type_, order_id))
    text = recorder.text
    if wrapped:
        text = json.dumps({"Type": "Notification", "Message": text})
    return Message("m", text, 1, False, time.monotonic() + 30)


@pytest.fixture
def outbox(town: Town) -> Outbox:
    store = IdempotencyStore(town.session.client("dynamodb"), town.table, 45.0, 3600.0)
    town.session.client("ses").verify_email_identity(EmailAddress="orders@darkroom.example")
    return Outbox(town.session.client("ses"), store, SENDER)


def ordered(desk: Desk, orders: Orders) -> Order:
    """Of somebody whom no other test writes to."""
    recipient = f"{uuid.uuid4().hex}@darkroom.example"
    new = desk.new(desk.anybody, (desk.product(orders), 2), recipient=recipient)
    return orders.create(new)


def mails(town: Town, recipient: str) -> list[dict[str, Any]]:
    """What SES took for them."""
    url = f"{town.session.endpoint}/_ministack/ses/messages"
    with urllib.request.urlopen(url, timeout=10) as answer:
        sent = json.load(answer)
    return [
        mail
        for account in sent["messages"].values()
        for mail in account
        if mail["To"] == [recipient]
    ]


def test_the_emails_of_an_order_that_goes_well(
    desk: Desk, orders: Orders, town: Town, outbox: Outbox
) -> None:
    order = ordered(desk, orders)
    mailer = OrderMailer(orders, outbox)
    told = [OrderEventType.CREATED, OrderEventType.PAYMENT_RECEIVED, OrderEventType.SHIPPED]
    for type_ in told:
        mailer.handle(message(type_, order.id))
    sent = mails(town, order.recipient)
    assert [mail["Subject"].replace(f" {order.id[:8]}", "") for mail in sent] == [
        "We have your order", "Your receipt for order", "Your prints are on their way: order",
    ]  # fmt: skip
    assert {mail["Source"] for mail in sent} == {SENDER}


@pytest.mark.parametrize("type_", OrderEventType)
def test_a_thing_is_told_once_however_often_its_event_comes(
    desk: Desk, orders: Orders, town: Town, outbox: Outbox, type_: OrderEventType
) -> None:
    order = ordered(desk, orders)
    for wrapped in (False, True, False):
        OrderMailer(orders, outbox).handle(message(type_, order.id, wrapped=wrapped))
    assert len(mails(town, order.recipient)) == 1


def test_copies_of_an_event_at_the_same_moment_are_told_once(
    desk: Desk, orders: Orders, town: Town, outbox: Outbox
) -> None:
    order = ordered(desk, orders)
    copy = message(OrderEventType.CREATED, order.id)
    mailers = [OrderMailer(desk.orders(), outbox) for _ in range(5)]
    outcomes = at_once([partial(mailer.handle, copy) for mailer in mailers])
    assert None in outcomes
    assert len(mails(town, order.recipient)) == 1


def test_it_tells_what_is_known_when_it_is_written(
    desk: Desk, orders: Orders, town: Town, outbox: Outbox
) -> None:
    """The refund is noted before order.failed is published."""
    order = ordered(desk, orders)
    orders.advance(order.id, OrderStatus.FAILED)
    orders.settle(order.id, "re_1")
    OrderMailer(orders, outbox).handle(message(OrderEventType.FAILED, order.id))
    (mail,) = mails(town, order.recipient)
    assert "is on its way back to you" in mail["BodyText"]


@pytest.mark.parametrize("order_id", [NO_ORDER, "x", "x\0"])
def test_an_event_of_no_order_is_for_a_person_to_look_at(
    orders: Orders, outbox: Outbox, order_id: str
) -> None:
    with pytest.raises(PermanentError, match="expected an order"):
        OrderMailer(orders, outbox).handle(message(OrderEventType.CREATED, order_id))


@pytest.mark.parametrize("body", ["", "{}", '{"Type": "Notification", "Message": "x"}'])
def test_a_message_that_is_no_event(orders: Orders, outbox: Outbox, body: str) -> None:
    with pytest.raises(PermanentError, match="expected"):
        OrderMailer(orders, outbox).handle(Message("m", body, 1, False, time.monotonic() + 30))
