"""Publishing and parsing of order events."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from services.events.orders import (
    OrderEvent,
    OrderEventType,
    order_event,
    parse_order_event,
    publish,
)
from services.platform.errors import PermanentError

ORDER_ID = "6f9c1f0e-3a52-4d0b-9d55-2f6f3f2c9d10"
PAYMENT: dict[str, Any] = {"charge_id": "pay_1", "amount_minor": 1995, "currency": "EUR"}


class Topic:
    """An SNS client that records the arguments of publish."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []

    def publish(self, **arguments: Any) -> None:
        self.published.append(arguments)

    @property
    def document(self) -> dict[str, Any]:
        (arguments,) = self.published
        document = json.loads(arguments["Message"])
        assert isinstance(document, dict)
        return document


def published(event: OrderEvent) -> Topic:
    topic = Topic()
    publish(topic, "arn:topic", event)
    return topic


def test_publish_sends_cloud_event_with_type_and_correlation_id() -> None:
    topic = published(order_event(OrderEventType.PAYMENT_RECEIVED, ORDER_ID, **PAYMENT))
    document = topic.document
    assert datetime.fromisoformat(document.pop("time")).tzinfo is not None
    assert len(document.pop("id")) == 32
    assert document == {
        "specversion": "1.0",
        "source": "darkroom/orders",
        "type": "payment.received",
        "subject": ORDER_ID,
        "datacontenttype": "application/json",
        "data": {"order_id": ORDER_ID, **PAYMENT},
    }
    (arguments,) = topic.published
    assert arguments["TopicArn"] == "arn:topic"
    assert arguments["MessageAttributes"] == {
        "type": {"DataType": "String", "StringValue": "payment.received"},
        "correlation_id": {"DataType": "String", "StringValue": ORDER_ID},
    }


@pytest.mark.parametrize("type_", OrderEventType)
@pytest.mark.parametrize("wrapped", [False, True])
def test_parse_returns_published_event(type_: OrderEventType, wrapped: bool) -> None:
    event = order_event(type_, ORDER_ID, **PAYMENT)
    (arguments,) = published(event).published
    text = arguments["Message"]
    if wrapped:
        text = json.dumps({"Type": "Notification", "Message": text})
    assert parse_order_event(text) == event


def test_event_id_depends_on_type_and_order_only() -> None:
    first = order_event(OrderEventType.PAYMENT_RECEIVED, ORDER_ID, **PAYMENT)
    again = order_event(OrderEventType.PAYMENT_RECEIVED, ORDER_ID)
    assert first.id == again.id
    others = {order_event(type_, ORDER_ID).id for type_ in OrderEventType}
    assert len(others) == len(OrderEventType)
    assert order_event(OrderEventType.CREATED, "another").id not in others


def test_parse_with_unknown_fields_ignores_them() -> None:
    document = published(order_event(OrderEventType.CREATED, ORDER_ID)).document
    document["data"]["colour"] = "red"
    document["traceparent"] = "00-1"
    assert parse_order_event(json.dumps(document)).order_id == ORDER_ID


DOCUMENT = published(order_event(OrderEventType.PAYMENT_RECEIVED, ORDER_ID, **PAYMENT)).document


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "order.lost"},
        {"type": None},
        {"type": ["order.created"]},
        {"id": None},
        {"id": 7},
        {"id": ""},
        {"time": None},
        {"data": None},
        {"data": []},
        {"data": "x"},
        {"data": {}},
        {"data": {"order_id": None}},
        {"data": {"order_id": 7}},
        {"data": {"order_id": ""}},
        {"data": {"order_id": [ORDER_ID]}},
        {"data": {"order_id": ORDER_ID, "amount_minor": "1995"}},
        {"data": {"order_id": ORDER_ID, "amount_minor": 19.95}},
        {"data": {"order_id": ORDER_ID, "amount_minor": True}},
        {"data": {"order_id": ORDER_ID, "currency": 978}},
        {"data": {"order_id": ORDER_ID, "charge_id": {}}},
    ],
)
def test_parse_with_invalid_value_raises_permanent_error(changes: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="expected an order event"):
        parse_order_event(json.dumps(DOCUMENT | changes))


@pytest.mark.parametrize("name", ["id", "type", "time", "data"])
def test_parse_with_missing_attribute_raises_permanent_error(name: str) -> None:
    rest = {key: value for key, value in DOCUMENT.items() if key != name}
    with pytest.raises(PermanentError, match="expected an order event"):
        parse_order_event(json.dumps(rest))


@pytest.mark.parametrize("body", ["", "x", "[]", "7", "null", '{"Type": "Notification"}'])
def test_parse_of_other_message_raises_permanent_error(body: str) -> None:
    with pytest.raises(PermanentError, match="expected"):
        parse_order_event(body)
