"""Calls of the workflow's tasks."""

from __future__ import annotations

import time
from typing import Any

from services.events.orders import OrderEvent, publish
from services.orders.fail_order import FailOrder
from services.orders.model import (
    Order,
    OrderStatus,
)
from services.orders.store import Orders
from services.payments.model import Charge
from services.platform.functions.sqs import Message
from services.platform.functions.task import Task
from tests.integration.orders.environment import OrderResources

MESSAGE = Message("m", "", 1, False, time.monotonic() + 900)
TASK = Task("token", "State", 900, MESSAGE)
NO_ORDER = "00000000-0000-0000-0000-000000000000"
ABANDONED = [OrderStatus.CANCELLED, OrderStatus.FAILED]


def now(orders: Orders, order: Order) -> Order:
    found = orders.get(order.id)
    assert found is not None
    return found


def fail(
    orders: Orders, resources: OrderResources, order: Order, error: Any = None
) -> dict[str, Any]:
    return fail_order(orders, resources).handle({"order_id": order.id, "error": error}, TASK)


def fail_order(orders: Orders, resources: OrderResources, gateway: Any = None) -> FailOrder:
    return FailOrder(
        orders,
        lambda: resources.charging(gateway),
        resources.s3,
        resources.sns,
        resources.prints_bucket,
        resources.topic_arn,
    )


# -- task input


def event_message(event: OrderEvent) -> Message:
    sent: list[str] = []

    class Sns:
        def publish(self, *, Message: str, **_: Any) -> None:  # noqa: N803  SNS's name
            sent.append(Message)

    publish(Sns(), "topic", event)
    return Message("m", sent[0], 1, False, time.monotonic() + 900)


def charged(resources: OrderResources, order: Order) -> Charge:
    return resources.charging().charge(
        order.id, order.total_minor, order.currency, order.payment_method
    )
