"""The steps of the workflow and the tasks beside it, each where an order may stand, once and again.

The photos' steps, ValidateOrder and FulfillOrder, are in test_photo_tasks.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from services.events.orders import OrderEvent, OrderEventType, order_event, publish
from services.orders.check_inventory import CheckInventory
from services.orders.fail_order import FailOrder
from services.orders.loading import OrderEnded
from services.orders.model import (
    IllegalTransition,
    Order,
    OrderNotFound,
    OrderStatus,
    OrderUnderWay,
    OutOfStock,
)
from services.orders.notify_out_of_stock import NotifyOutOfStock
from services.orders.print_files import JOB_SHEET, list_files, order_prefix
from services.orders.process_payment import ProcessPayment
from services.orders.products import Products
from services.orders.record_payment import RecordPayment, WrongAmount
from services.orders.release_stock import ReleaseStock
from services.orders.ship_order import ShipOrder
from services.orders.store import Orders
from services.payments.model import Charge, PaymentDeclined
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.sqs import Message
from services.platform.functions.task import Task
from tests.integration.orders.conftest import PRICE_MINOR, WAYS, Desk, Town
from tests.support.at_once import at_once

MESSAGE = Message("m", "", 1, False, time.monotonic() + 900)
TASK = Task("token", "State", 900, MESSAGE)
NO_ORDER = "00000000-0000-0000-0000-000000000000"
GIVEN_UP = [OrderStatus.CANCELLED, OrderStatus.FAILED]


def now(orders: Orders, order: Order) -> Order:
    found = orders.get(order.id)
    assert found is not None
    return found


def check(orders: Orders, order: Order) -> dict[str, Any]:
    return CheckInventory(orders).handle({"order_id": order.id}, TASK)


def pay(orders: Orders, town: Town, order: Order, gateway: Any = None) -> dict[str, Any]:
    step = ProcessPayment(orders, lambda: town.charging(gateway), town.sns, town.topic_arn)
    return step.handle({"order_id": order.id}, TASK)


def fail(orders: Orders, town: Town, order: Order, error: Any = None) -> dict[str, Any]:
    return fail_order(orders, town).handle({"order_id": order.id, "error": error}, TASK)


def fail_order(orders: Orders, town: Town, gateway: Any = None) -> FailOrder:
    return FailOrder(
        orders,
        lambda: town.charging(gateway),
        town.s3,
        town.sns,
        town.prints_bucket,
        town.topic_arn,
    )


# -- what every step is given


@pytest.mark.parametrize(
    "given", [{}, {"order_id": None}, {"order_id": 7}, {"order_id": ""}, {"order_id": "x\0"}]
)
def test_no_step_works_for_what_is_no_order(
    orders: Orders, town: Town, given: dict[str, Any]
) -> None:
    steps: list[Callable[..., Any]] = [
        CheckInventory(orders).handle,
        ProcessPayment(orders, town.charging, town.sns, town.topic_arn).handle,
        fail_order(orders, town).handle,
        ReleaseStock(orders).handle,
        NotifyOutOfStock(orders, town.sns, town.topic_arn).handle,
    ]
    for step in steps:
        with pytest.raises(OrderNotFound, match="order_id"):
            step(given, TASK)


# -- CheckInventory


def test_paper_is_set_aside_and_again(desk: Desk, orders: Orders) -> None:
    product = desk.product(orders, 5)
    order = desk.order_at(orders, OrderStatus.VALIDATED, (product, 2), (product, 1))
    for _ in range(2):
        assert check(orders, order) == {"prints": 3}
    assert desk.assert_balanced(orders, product, 5).reserved == 3
    assert now(orders, order).status is OrderStatus.RESERVED
    # Its message comes late, when the order has gone on.
    orders.advance(order.id, OrderStatus.PAID)
    orders.advance(order.id, OrderStatus.FULFILLED)
    assert check(orders, order) == {"prints": 3}
    assert desk.assert_balanced(orders, product, 5).sold == 3


def test_out_of_stock_is_the_end_also_when_there_is_new_paper(desk: Desk, orders: Orders) -> None:
    product = desk.product(orders, 1)
    order = desk.order_at(orders, OrderStatus.VALIDATED, (product, 2))
    for _ in range(2):
        with pytest.raises(OutOfStock) as caught:
            check(orders, order)
        assert caught.value.missing == {product: (2, 1)}
        (item,) = [item for item in Products(orders.database).on_sale() if item.id == product]
        Products(orders.database).offer(item, 5)
    found = now(orders, order)
    assert found.status is OrderStatus.OUT_OF_STOCK
    assert found.settled_at is not None
    assert desk.assert_balanced(orders, product, 11).reserved == 0
    assert orders.transitions(order.id)[-1].cause == (
        "There is not enough paper in stock for this order."
    )


@pytest.mark.parametrize("status", GIVEN_UP)
def test_no_paper_for_an_order_that_was_given_up(
    desk: Desk, orders: Orders, status: OrderStatus
) -> None:
    order = desk.order_at(orders, OrderStatus.VALIDATED, (desk.product(orders), 1))
    orders.advance(order.id, status)
    with pytest.raises(OrderEnded):
        check(orders, order)


def test_two_copies_of_the_task_set_aside_once(desk: Desk, orders: Orders) -> None:
    product = desk.product(orders, 3)
    for _ in range(5):
        order = desk.order_at(orders, OrderStatus.VALIDATED, (product, 2))
        assert at_once([partial(check, desk.orders(), order) for _ in range(4)]) == (
            [{"prints": 2}] * 4
        )
        assert desk.assert_balanced(orders, product, 3).reserved == 2
        orders.advance(order.id, OrderStatus.CANCELLED)


def test_a_cancellation_while_paper_is_set_aside(desk: Desk, orders: Orders) -> None:
    product, customer, workflow = desk.product(orders, 9), desk.orders(), desk.orders()
    for _ in range(15):
        order = desk.order_at(orders, OrderStatus.VALIDATED, (product, 9))
        told, cancelled = at_once(
            [
                partial(check, workflow, order),
                partial(customer.advance, order.id, OrderStatus.CANCELLED),
            ]
        )
        assert isinstance(cancelled, Order)
        assert told == {"prints": 9} or isinstance(told, OrderEnded)
        assert now(orders, order).status is OrderStatus.CANCELLED
        assert desk.assert_balanced(orders, product, 9).reserved == 0


# -- ProcessPayment


def test_money_is_taken_once(desk: Desk, orders: Orders, town: Town) -> None:
    order = desk.order_at(orders, OrderStatus.RESERVED, (desk.product(orders), 2))
    answers = [pay(orders, town, order) for _ in range(3)]
    (payment,) = town.provider.of(order.id)
    expected = {"payment_id": payment.id, "amount_minor": 2 * PRICE_MINOR, "currency": "EUR"}
    assert answers == [expected] * 3
    assert (payment.charges, payment.refunds) == (1, 0)
    assert now(orders, order).status is OrderStatus.PAID
    heard = town.heard(order.id)
    # Each delivery tells; for everybody who listens it is one event.
    assert {event.id for event in heard} == {order_event(heard[0].type, order.id).id}
    assert (heard[0].type, heard[0].charge_id, heard[0].amount_minor) == (
        OrderEventType.PAYMENT_RECEIVED, payment.id, 2 * PRICE_MINOR,
    )  # fmt: skip


def test_the_webhook_was_faster(desk: Desk, orders: Orders, town: Town) -> None:
    order = desk.order_at(orders, OrderStatus.RESERVED, (desk.product(orders), 1))

    class WebhookFirst:
        def __getattr__(self, name: str) -> Any:
            return getattr(town.provider, name)

        def confirm(self, payment_id: str, key: str) -> Charge:
            charge = town.provider.confirm(payment_id, key)
            record(orders, town, order, charge)
            return charge

    pay(orders, town, order, WebhookFirst())
    assert now(orders, order).status is OrderStatus.PAID
    assert town.kept(order.id) == 1


def test_a_declined_payment_is_the_end(desk: Desk, orders: Orders, town: Town) -> None:
    product = desk.product(orders, 5)
    order = orders.create(desk.new(desk.anybody, (product, 2), payment_method="declined"))
    for status in WAYS[OrderStatus.RESERVED]:
        orders.advance(order.id, status)
    for _ in range(2):
        with pytest.raises(PaymentDeclined, match="card_declined"):
            pay(orders, town, order)
    found = now(orders, order)
    assert found.status is OrderStatus.PAYMENT_DECLINED
    assert found.settled_at is not None
    assert desk.assert_balanced(orders, product, 5).reserved == 0
    assert town.kept(order.id) == 0
    assert town.heard(order.id) == []


@pytest.mark.parametrize("status", GIVEN_UP)
def test_an_order_that_is_given_up_while_it_is_charged_gets_its_money_back(
    desk: Desk, orders: Orders, town: Town, status: OrderStatus
) -> None:
    product = desk.product(orders, 5)
    order = desk.order_at(orders, OrderStatus.RESERVED, (product, 2))

    class SlowProvider:
        def __getattr__(self, name: str) -> Any:
            return getattr(town.provider, name)

        def confirm(self, payment_id: str, key: str) -> Charge:
            charge = town.provider.confirm(payment_id, key)
            orders.advance(order.id, status)
            return charge

    with pytest.raises(OrderEnded):
        pay(orders, town, order, SlowProvider())
    found = now(orders, order)
    assert (found.status, town.kept(order.id)) == (status, 0)
    assert found.refund_id is not None
    assert desk.assert_balanced(orders, product, 5).reserved == 0
    assert [event.type for event in town.heard(order.id)] == []
    with pytest.raises(OrderEnded):
        pay(orders, town, order)
    assert [payment.charges for payment in town.provider.of(order.id)] == [1]


@pytest.mark.parametrize(
    "status", [s for s in WAYS if s not in WAYS[OrderStatus.SHIPPED] or s is OrderStatus.VALIDATED]
)
def test_nothing_is_charged_without_paper_set_aside(
    desk: Desk, orders: Orders, town: Town, status: OrderStatus
) -> None:
    order = desk.order_at(orders, status, (desk.product(orders), 1))
    with pytest.raises((IllegalTransition, OrderEnded, PaymentDeclined)):
        pay(orders, town, order)
    assert town.provider.of(order.id) == []


def test_a_cancellation_while_the_money_is_taken(desk: Desk, orders: Orders, town: Town) -> None:
    """Whoever is first: with FailOrder after them no money and no paper is kept."""
    product, customer, workflow = desk.product(orders, 9), desk.orders(), desk.orders()
    for _ in range(8):
        order = desk.order_at(orders, OrderStatus.RESERVED, (product, 9))
        told, cancelled = at_once(
            [
                partial(pay, workflow, town, order),
                partial(customer.advance, order.id, OrderStatus.CANCELLED),
            ]
        )
        assert isinstance(cancelled, Order)
        assert isinstance(told, dict | OrderEnded)
        assert fail(orders, town, order, {"Error": "OrderEnded"})["status"] == "cancelled"
        assert town.kept(order.id) == 0
        assert sum(payment.charges for payment in town.provider.of(order.id)) <= 1
        assert now(orders, order).settled_at is not None
        assert desk.assert_balanced(orders, product, 9).reserved == 0


# -- record-payment


def event_message(event: OrderEvent) -> Message:
    sent: list[str] = []

    class Sns:
        def publish(self, *, Message: str, **_: Any) -> None:  # noqa: N803  SNS's name
            sent.append(Message)

    publish(Sns(), "topic", event)
    return Message("m", sent[0], 1, False, time.monotonic() + 900)


def record(orders: Orders, town: Town, order: Order, charge: Charge, **changes: Any) -> None:
    told: dict[str, Any] = {
        "charge_id": charge.payment_id,
        "amount_minor": charge.amount_minor,
        "currency": charge.currency,
    }
    event = order_event(OrderEventType.PAYMENT_RECEIVED, order.id, **told | changes)
    RecordPayment(orders, town.charging).handle(event_message(event))


def charged(town: Town, order: Order) -> Charge:
    return town.charging().charge(order.id, order.total_minor, order.currency, order.payment_method)


@pytest.mark.parametrize("status", WAYS)
def test_the_providers_word_whenever_it_comes(
    desk: Desk, orders: Orders, town: Town, status: OrderStatus
) -> None:
    product = desk.product(orders, 5)
    order = desk.order_at(orders, status, (product, 1))
    charge = charged(town, order)
    if status in (OrderStatus.CREATED, OrderStatus.VALIDATED):
        with pytest.raises(TransientError, match="not ready for a payment"):
            record(orders, town, order, charge)
        assert now(orders, order).status is status
        return
    for _ in range(2):
        record(orders, town, order, charge)
    found = now(orders, order)
    assert found.status is (OrderStatus.PAID if status is OrderStatus.RESERVED else status)
    assert town.kept(order.id) == (0 if status.is_unfulfilled_terminal else 1)
    assert (found.refund_id is not None) == status.is_unfulfilled_terminal
    desk.assert_balanced(orders, product, 5)


@pytest.mark.parametrize(
    "changes", [{"amount_minor": PRICE_MINOR - 1}, {"currency": "USD"}, {"currency": None}]
)
def test_another_amount_is_for_a_person_to_look_at(
    desk: Desk, orders: Orders, town: Town, changes: dict[str, Any]
) -> None:
    order = desk.order_at(orders, OrderStatus.RESERVED, (desk.product(orders), 1))
    with pytest.raises(WrongAmount):
        record(orders, town, order, charged(town, order), **changes)
    assert now(orders, order).status is OrderStatus.RESERVED


@pytest.mark.parametrize("order_id", ["", "x", "x\0", NO_ORDER, 7])
def test_a_payment_of_no_order_is_for_a_person_to_look_at(
    orders: Orders, town: Town, order_id: Any
) -> None:
    message = event_message(order_event(OrderEventType.PAYMENT_RECEIVED, order_id))
    with pytest.raises(PermanentError):
        RecordPayment(orders, town.charging).handle(message)


def test_another_event_is_not_taken_for_a_payment(orders: Orders, town: Town) -> None:
    message = event_message(order_event(OrderEventType.CREATED, "x"))
    with pytest.raises(PermanentError, match=r"expected payment\.received"):
        RecordPayment(orders, town.charging).handle(message)


# -- FailOrder


@dataclass(frozen=True)
class Closed:
    """How FailOrder leaves an order that it finds at some status, and what it tells."""

    status: OrderStatus
    told: OrderEventType | None
    kept: int = 0


CLOSED = {
    OrderStatus.CREATED: Closed(OrderStatus.FAILED, OrderEventType.FAILED),
    OrderStatus.VALIDATED: Closed(OrderStatus.FAILED, OrderEventType.FAILED),
    OrderStatus.RESERVED: Closed(OrderStatus.FAILED, OrderEventType.FAILED),
    OrderStatus.PAID: Closed(OrderStatus.FAILED, OrderEventType.FAILED),
    OrderStatus.FULFILLED: Closed(OrderStatus.FULFILLED, OrderEventType.SHIPPED, kept=1),
    OrderStatus.SHIPPED: Closed(OrderStatus.SHIPPED, None, kept=1),
    OrderStatus.REJECTED: Closed(OrderStatus.REJECTED, OrderEventType.REJECTED),
    OrderStatus.OUT_OF_STOCK: Closed(OrderStatus.OUT_OF_STOCK, OrderEventType.OUT_OF_STOCK),
    OrderStatus.PAYMENT_DECLINED: Closed(
        OrderStatus.PAYMENT_DECLINED, OrderEventType.PAYMENT_DECLINED
    ),
    # Whoever cancelled it may have died before it was told.
    OrderStatus.CANCELLED: Closed(OrderStatus.CANCELLED, OrderEventType.CANCELLED),
    OrderStatus.FAILED: Closed(OrderStatus.FAILED, OrderEventType.FAILED),
}


@pytest.mark.parametrize("charge_first", [False, True])
@pytest.mark.parametrize("status", OrderStatus)
def test_every_order_ends_in_one_clear_state(
    desk: Desk, orders: Orders, town: Town, status: OrderStatus, charge_first: bool
) -> None:
    product, closed = desk.product(orders, 5), CLOSED[status]
    order = desk.order_at(orders, status, (product, 2))
    if charge_first:
        charged(town, order)
    answers = [fail(orders, town, order, {"Error": "Timeout", "Cause": "late"}) for _ in range(2)]
    refunded = charge_first and not closed.kept
    assert answers == [{"status": closed.status.value, "refunded": refunded}] * 2
    found = now(orders, order)
    assert found.status is closed.status
    assert town.kept(order.id) == (closed.kept if charge_first else 0)
    assert (found.refund_id is not None) == refunded
    assert (found.settled_at is not None) == closed.status.is_unfulfilled_terminal
    assert {event.type for event in town.heard(order.id)} == {closed.told} - {None}
    level = desk.assert_balanced(orders, product, 5)
    assert (level.reserved, level.sold) == (0, 2 if closed.kept else 0)
    if charge_first and not closed.kept:
        return
    if closed.status.is_unfulfilled_terminal:
        # And never will be.
        with pytest.raises(PermanentError):
            charged(town, order)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ({"Error": "Timeout", "Cause": "late"}, {"error": "Timeout", "cause": "late"}),
        ({"Error": "E", "Cause": "a\0b\ud800c"}, {"error": "E", "cause": "a\ufffdb\ufffdc"}),
        ({"Error": "E", "Cause": "x" * 40_000}, {"error": "E", "cause": "x" * 2_000}),
        ({"Error": 7, "Cause": ["late"]}, {"error": "7", "cause": "['late']"}),
        ({}, {"error": "unknown", "cause": ""}),
        (None, {"error": "unknown", "cause": ""}),
        ("late", {"error": "unknown", "cause": ""}),
    ],
)
def test_why_it_failed_is_kept_whatever_it_was(
    desk: Desk, orders: Orders, town: Town, error: Any, kept: dict[str, str]
) -> None:
    order = desk.order_at(orders, OrderStatus.PAID, (desk.product(orders), 1))
    assert fail(orders, town, order, error)["status"] == "failed"
    last = orders.transitions(order.id)[-1]
    assert last.detail == kept
    # Customers read another text.
    assert last.cause == "An internal error stopped this order. You are not charged for it."


def test_an_order_is_not_closed_before_its_money_is_certain(
    desk: Desk, orders: Orders, town: Town
) -> None:
    order = desk.order_at(orders, OrderStatus.PAID, (desk.product(orders), 1))
    charged(town, order)

    class Away:
        def __getattr__(self, name: str) -> Any:
            def call(*_: Any, **__: Any) -> Any:
                raise TransientError("the provider is away")

            return call

    with pytest.raises(TransientError):
        fail_order(orders, town, Away()).handle({"order_id": order.id}, TASK)
    found = now(orders, order)
    assert (found.status, found.settled_at) == (OrderStatus.FAILED, None)
    assert town.heard(order.id) == []
    assert fail(orders, town, order) == {"status": "failed", "refunded": True}
    assert now(orders, order).settled_at is not None


@pytest.mark.parametrize("status", OrderStatus)
def test_nothing_is_printed_of_an_order_that_was_given_up(
    desk: Desk, orders: Orders, town: Town, status: OrderStatus
) -> None:
    """FulfillOrder came to its last line, and its token timed out: the printer would begin."""
    order, other = (
        desk.order_at(orders, at, (desk.product(orders), 1))
        for at in (status, OrderStatus.FULFILLED)
    )
    for one in (order, other):
        for name in ("01-a.jpg", JOB_SHEET):
            key = order_prefix(one) + name
            town.s3.put_object(Bucket=town.prints_bucket, Key=key, Body=b"x")
    for _ in range(2):
        fail(orders, town, order)
    left = (
        frozenset()
        if now(orders, order).status.is_unfulfilled_terminal
        else {"01-a.jpg", JOB_SHEET}
    )
    assert list_files(town.s3, town.prints_bucket, order) == left
    assert list_files(town.s3, town.prints_bucket, other) == {"01-a.jpg", JOB_SHEET}


# -- the small ones


@pytest.mark.parametrize("status", OrderStatus)
def test_paper_is_given_back_by_an_order_that_ended_badly_only(
    desk: Desk, orders: Orders, status: OrderStatus
) -> None:
    product = desk.product(orders, 5)
    order = desk.order_at(orders, status, (product, 2))
    before = Products(orders.database).stock_levels()[product]
    step = ReleaseStock(orders)
    if status.is_unfulfilled_terminal:
        assert step.handle({"order_id": order.id}, TASK) == {"status": status.value}
    else:
        with pytest.raises(OrderUnderWay):
            step.handle({"order_id": order.id}, TASK)
    assert desk.assert_balanced(orders, product, 5) == before


def test_the_customer_is_told_however_often_as_one_event(
    desk: Desk, orders: Orders, town: Town
) -> None:
    order = desk.order_at(orders, OrderStatus.OUT_OF_STOCK, (desk.product(orders), 1))
    step = NotifyOutOfStock(orders, town.sns, town.topic_arn)
    answers = [step.handle({"order_id": order.id}, TASK) for _ in range(2)]
    heard = town.heard(order.id)
    assert [{"event_id": event.id} for event in heard] == answers
    assert len({event.id for event in heard}) == 1


def test_an_order_is_shipped_once_fulfilled(desk: Desk, orders: Orders) -> None:
    order = desk.order_at(orders, OrderStatus.FULFILLED, (desk.product(orders), 1))
    message = event_message(order_event(OrderEventType.SHIPPED, order.id))
    for _ in range(2):
        ShipOrder(orders).handle(message)
    assert now(orders, order).status is OrderStatus.SHIPPED
    assert len(orders.transitions(order.id)) == 6
    # Another event on the same queue changes nothing.
    paid = desk.order_at(orders, OrderStatus.PAID, (desk.product(orders), 1))
    ShipOrder(orders).handle(event_message(order_event(OrderEventType.CREATED, paid.id)))
    assert now(orders, paid).status is OrderStatus.PAID


def test_events_of_no_orders_are_dead_letters(orders: Orders) -> None:
    for order_id in ("x", "", NO_ORDER):
        with pytest.raises(PermanentError):
            ShipOrder(orders).handle(event_message(order_event(OrderEventType.SHIPPED, order_id)))
