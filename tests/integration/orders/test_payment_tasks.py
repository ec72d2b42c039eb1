"""process-payment and record-payment on a real database and a real provider."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from typing import Any

import pytest

from services.events.orders import OrderEventType, order_event
from services.orders.loading import OrderEnded
from services.orders.model import (
    IllegalTransition,
    Order,
    OrderStatus,
)
from services.orders.process_payment import ProcessPayment
from services.orders.record_payment import RecordPayment, WrongAmount
from services.orders.store import Orders
from services.payments.model import Charge, PaymentDeclined
from services.platform.errors import PermanentError, TransientError
from tests.integration.orders.environment import PATHS, PRICE_MINOR, OrderFactory, OrderResources
from tests.integration.orders.support import (
    ABANDONED,
    NO_ORDER,
    TASK,
    charged,
    event_message,
    fail,
    now,
)
from tests.support.at_once import at_once


def pay(
    orders: Orders, resources: OrderResources, order: Order, gateway: Any = None
) -> dict[str, Any]:
    step = ProcessPayment(
        orders, lambda: resources.charging(gateway), resources.sns, resources.topic_arn
    )
    return step.handle({"order_id": order.id}, TASK)


def test_process_payment_charges_once(
    factory: OrderFactory, orders: Orders, resources: OrderResources
) -> None:
    order = factory.order_at(orders, OrderStatus.RESERVED, (factory.product(orders), 2))
    answers = [pay(orders, resources, order) for _ in range(3)]
    (payment,) = resources.provider.of(order.id)
    expected = {"payment_id": payment.id, "amount_minor": 2 * PRICE_MINOR, "currency": "EUR"}
    assert answers == [expected] * 3
    assert (payment.charges, payment.refunds) == (1, 0)
    assert now(orders, order).status is OrderStatus.PAID
    heard = resources.published(order.id)
    # Each delivery publishes the event, with the same id.
    assert {event.id for event in heard} == {order_event(heard[0].type, order.id).id}
    assert (heard[0].type, heard[0].charge_id, heard[0].amount_minor) == (
        OrderEventType.PAYMENT_RECEIVED, payment.id, 2 * PRICE_MINOR,
    )  # fmt: skip


def test_process_payment_after_the_webhook_returns_the_charge(
    factory: OrderFactory, orders: Orders, resources: OrderResources
) -> None:
    order = factory.order_at(orders, OrderStatus.RESERVED, (factory.product(orders), 1))

    class WebhookFirst:
        def __getattr__(self, name: str) -> Any:
            return getattr(resources.provider, name)

        def confirm(self, payment_id: str, key: str) -> Charge:
            charge = resources.provider.confirm(payment_id, key)
            record(orders, resources, order, charge)
            return charge

    pay(orders, resources, order, WebhookFirst())
    assert now(orders, order).status is OrderStatus.PAID
    assert resources.unrefunded_charges(order.id) == 1


def test_process_payment_declined_is_final(
    factory: OrderFactory, orders: Orders, resources: OrderResources
) -> None:
    product = factory.product(orders, 5)
    order = orders.create(
        factory.new(factory.default_user, (product, 2), payment_method="declined")
    )
    for status in PATHS[OrderStatus.RESERVED]:
        orders.advance(order.id, status)
    for _ in range(2):
        with pytest.raises(PaymentDeclined, match="card_declined"):
            pay(orders, resources, order)
    found = now(orders, order)
    assert found.status is OrderStatus.PAYMENT_DECLINED
    assert found.settled_at is not None
    assert factory.assert_balanced(orders, product, 5).reserved == 0
    assert resources.unrefunded_charges(order.id) == 0
    assert resources.published(order.id) == []


@pytest.mark.parametrize("status", ABANDONED)
def test_process_payment_abandoned_meanwhile_refunds(
    factory: OrderFactory, orders: Orders, resources: OrderResources, status: OrderStatus
) -> None:
    product = factory.product(orders, 5)
    order = factory.order_at(orders, OrderStatus.RESERVED, (product, 2))

    class SlowProvider:
        def __getattr__(self, name: str) -> Any:
            return getattr(resources.provider, name)

        def confirm(self, payment_id: str, key: str) -> Charge:
            charge = resources.provider.confirm(payment_id, key)
            orders.advance(order.id, status)
            return charge

    with pytest.raises(OrderEnded):
        pay(orders, resources, order, SlowProvider())
    found = now(orders, order)
    assert (found.status, resources.unrefunded_charges(order.id)) == (status, 0)
    assert found.refund_id is not None
    assert factory.assert_balanced(orders, product, 5).reserved == 0
    assert [event.type for event in resources.published(order.id)] == []
    with pytest.raises(OrderEnded):
        pay(orders, resources, order)
    assert [payment.charges for payment in resources.provider.of(order.id)] == [1]


@pytest.mark.parametrize(
    "status",
    [s for s in PATHS if s not in PATHS[OrderStatus.SHIPPED] or s is OrderStatus.VALIDATED],
)
def test_process_payment_without_reserved_stock_charges_nothing(
    factory: OrderFactory, orders: Orders, resources: OrderResources, status: OrderStatus
) -> None:
    order = factory.order_at(orders, status, (factory.product(orders), 1))
    with pytest.raises((IllegalTransition, OrderEnded, PaymentDeclined)):
        pay(orders, resources, order)
    assert resources.provider.of(order.id) == []


def test_process_payment_concurrent_cancellation_charges_nothing(
    factory: OrderFactory, orders: Orders, resources: OrderResources
) -> None:
    """Whichever is first, after fail-order nothing is charged and no stock is reserved."""
    product, customer, workflow = factory.product(orders, 9), factory.orders(), factory.orders()
    for _ in range(8):
        order = factory.order_at(orders, OrderStatus.RESERVED, (product, 9))
        result, cancelled = at_once(
            [
                partial(pay, workflow, resources, order),
                partial(customer.advance, order.id, OrderStatus.CANCELLED),
            ]
        )
        assert isinstance(cancelled, Order)
        assert isinstance(result, dict | OrderEnded)
        assert fail(orders, resources, order, {"Error": "OrderEnded"})["status"] == "cancelled"
        assert resources.unrefunded_charges(order.id) == 0
        assert sum(payment.charges for payment in resources.provider.of(order.id)) <= 1
        assert now(orders, order).settled_at is not None
        assert factory.assert_balanced(orders, product, 9).reserved == 0


# -- record-payment


def record(
    orders: Orders, resources: OrderResources, order: Order, charge: Charge, **changes: Any
) -> None:
    data: dict[str, Any] = {
        "charge_id": charge.payment_id,
        "amount_minor": charge.amount_minor,
        "currency": charge.currency,
    }
    event = order_event(OrderEventType.PAYMENT_RECEIVED, order.id, **data | changes)
    RecordPayment(orders, resources.charging).handle(event_message(event))


@pytest.mark.parametrize("status", PATHS)
def test_record_payment_at_any_status(
    factory: OrderFactory, orders: Orders, resources: OrderResources, status: OrderStatus
) -> None:
    product = factory.product(orders, 5)
    order = factory.order_at(orders, status, (product, 1))
    charge = charged(resources, order)
    if status in (OrderStatus.CREATED, OrderStatus.VALIDATED):
        with pytest.raises(TransientError, match="not ready for a payment"):
            record(orders, resources, order, charge)
        assert now(orders, order).status is status
        return
    for _ in range(2):
        record(orders, resources, order, charge)
    found = now(orders, order)
    assert found.status is (OrderStatus.PAID if status is OrderStatus.RESERVED else status)
    assert resources.unrefunded_charges(order.id) == (0 if status.is_unfulfilled_terminal else 1)
    assert (found.refund_id is not None) == status.is_unfulfilled_terminal
    factory.assert_balanced(orders, product, 5)


@pytest.mark.parametrize(
    "changes", [{"amount_minor": PRICE_MINOR - 1}, {"currency": "USD"}, {"currency": None}]
)
def test_record_payment_other_amount_raises_wrong_amount(
    factory: OrderFactory, orders: Orders, resources: OrderResources, changes: dict[str, Any]
) -> None:
    order = factory.order_at(orders, OrderStatus.RESERVED, (factory.product(orders), 1))
    with pytest.raises(WrongAmount):
        record(orders, resources, order, charged(resources, order), **changes)
    assert now(orders, order).status is OrderStatus.RESERVED


@pytest.mark.parametrize("order_id", ["", "x", "x\0", NO_ORDER, 7])
def test_record_payment_unknown_order_is_a_permanent_error(
    orders: Orders, resources: OrderResources, order_id: Any
) -> None:
    message = event_message(order_event(OrderEventType.PAYMENT_RECEIVED, "x"))
    event = json.loads(message.body)
    event["data"]["order_id"] = order_id
    message = dataclasses.replace(message, body=json.dumps(event))
    with pytest.raises(PermanentError):
        RecordPayment(orders, resources.charging).handle(message)


def test_record_payment_other_event_is_a_permanent_error(
    orders: Orders, resources: OrderResources
) -> None:
    message = event_message(order_event(OrderEventType.CREATED, "x"))
    with pytest.raises(PermanentError, match=r"expected payment\.received"):
        RecordPayment(orders, resources.charging).handle(message)


# -- fail-order
