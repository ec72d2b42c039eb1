"""The tasks of the workflow and record-payment, each at every status of an order, and repeated.

test_photo_tasks.py tests validate-order and fulfill-order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from services.events.orders import OrderEventType, order_event
from services.orders.check_inventory import CheckInventory
from services.orders.loading import OrderEnded
from services.orders.model import (
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
from services.orders.release_stock import ReleaseStock
from services.orders.ship_order import ShipOrder
from services.orders.store import Orders
from services.platform.errors import PermanentError, TransientError
from tests.integration.orders.environment import OrderFactory, OrderResources
from tests.integration.orders.support import (
    ABANDONED,
    NO_ORDER,
    TASK,
    charged,
    event_message,
    fail,
    fail_order,
    now,
)
from tests.support.at_once import at_once


def check(orders: Orders, order: Order) -> dict[str, Any]:
    return CheckInventory(orders).handle({"order_id": order.id}, TASK)


@pytest.mark.parametrize(
    "task_input", [{}, {"order_id": None}, {"order_id": 7}, {"order_id": ""}, {"order_id": "x\0"}]
)
def test_task_without_an_order_raises_order_not_found(
    orders: Orders, resources: OrderResources, task_input: dict[str, Any]
) -> None:
    steps: list[Callable[..., Any]] = [
        CheckInventory(orders).handle,
        ProcessPayment(orders, resources.charging, resources.sns, resources.topic_arn).handle,
        fail_order(orders, resources).handle,
        ReleaseStock(orders).handle,
        NotifyOutOfStock(orders, resources.sns, resources.topic_arn).handle,
    ]
    for step in steps:
        with pytest.raises(OrderNotFound, match="order_id"):
            step(task_input, TASK)


# -- check-inventory


def test_check_inventory_reserves_once(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders, 5)
    order = factory.order_at(orders, OrderStatus.VALIDATED, (product, 2), (product, 1))
    for _ in range(2):
        assert check(orders, order) == {"prints": 3}
    assert factory.assert_balanced(orders, product, 5).reserved == 3
    assert now(orders, order).status is OrderStatus.RESERVED
    # A repetition arrives after the order has moved on.
    orders.advance(order.id, OrderStatus.PAID)
    orders.advance(order.id, OrderStatus.FULFILLED)
    assert check(orders, order) == {"prints": 3}
    assert factory.assert_balanced(orders, product, 5).sold == 3


def test_check_inventory_out_of_stock_is_final(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders, 1)
    order = factory.order_at(orders, OrderStatus.VALIDATED, (product, 2))
    for _ in range(2):
        with pytest.raises(OutOfStock) as caught:
            check(orders, order)
        assert caught.value.missing == {product: (2, 1)}
        (item,) = [item for item in Products(orders.database).on_sale() if item.id == product]
        Products(orders.database).offer(item, 5)
    found = now(orders, order)
    assert found.status is OrderStatus.OUT_OF_STOCK
    assert found.settled_at is not None
    assert factory.assert_balanced(orders, product, 11).reserved == 0
    *_, step = orders.transitions(order.id)
    assert step.detail["findings"] == [{"line": 1, "code": "out-of-stock", "available": 1}]
    assert step.cause == ("There is not enough paper in stock for this order.")


@pytest.mark.parametrize("status", ABANDONED)
def test_check_inventory_abandoned_order_reserves_nothing(
    factory: OrderFactory, orders: Orders, status: OrderStatus
) -> None:
    order = factory.order_at(orders, OrderStatus.VALIDATED, (factory.product(orders), 1))
    orders.advance(order.id, status)
    with pytest.raises(OrderEnded):
        check(orders, order)


def test_check_inventory_concurrent_repetitions_reserve_once(
    factory: OrderFactory, orders: Orders
) -> None:
    product = factory.product(orders, 3)
    for _ in range(5):
        order = factory.order_at(orders, OrderStatus.VALIDATED, (product, 2))
        assert at_once([partial(check, factory.orders(), order) for _ in range(4)]) == (
            [{"prints": 2}] * 4
        )
        assert factory.assert_balanced(orders, product, 3).reserved == 2
        orders.advance(order.id, OrderStatus.CANCELLED)


def test_check_inventory_concurrent_cancellation_releases_stock(
    factory: OrderFactory, orders: Orders
) -> None:
    product, customer, workflow = factory.product(orders, 9), factory.orders(), factory.orders()
    for _ in range(15):
        order = factory.order_at(orders, OrderStatus.VALIDATED, (product, 9))
        result, cancelled = at_once(
            [
                partial(check, workflow, order),
                partial(customer.advance, order.id, OrderStatus.CANCELLED),
            ]
        )
        assert isinstance(cancelled, Order)
        assert result == {"prints": 9} or isinstance(result, OrderEnded)
        assert now(orders, order).status is OrderStatus.CANCELLED
        assert factory.assert_balanced(orders, product, 9).reserved == 0


# -- process-payment


@dataclass(frozen=True)
class Closed:
    """The result of fail-order for an order at some status."""

    status: OrderStatus
    published: OrderEventType | None
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
    # cancel-order may have died before it published the event.
    OrderStatus.CANCELLED: Closed(OrderStatus.CANCELLED, OrderEventType.CANCELLED),
    OrderStatus.FAILED: Closed(OrderStatus.FAILED, OrderEventType.FAILED),
}


@pytest.mark.parametrize("charge_first", [False, True])
@pytest.mark.parametrize("status", OrderStatus)
def test_fail_order_at_any_status_closes_the_order(
    factory: OrderFactory,
    orders: Orders,
    resources: OrderResources,
    status: OrderStatus,
    charge_first: bool,
) -> None:
    product, closed = factory.product(orders, 5), CLOSED[status]
    order = factory.order_at(orders, status, (product, 2))
    if charge_first:
        charged(resources, order)
    answers = [
        fail(orders, resources, order, {"Error": "Timeout", "Cause": "late"}) for _ in range(2)
    ]
    refunded = charge_first and not closed.kept
    assert answers == [{"status": closed.status.value, "refunded": refunded}] * 2
    found = now(orders, order)
    assert found.status is closed.status
    assert resources.unrefunded_charges(order.id) == (closed.kept if charge_first else 0)
    assert (found.refund_id is not None) == refunded
    assert (found.settled_at is not None) == closed.status.is_unfulfilled_terminal
    assert {event.type for event in resources.published(order.id)} == {closed.published} - {None}
    level = factory.assert_balanced(orders, product, 5)
    assert (level.reserved, level.sold) == (0, 2 if closed.kept else 0)
    if charge_first and not closed.kept:
        return
    if closed.status.is_unfulfilled_terminal:
        # And is never charged later.
        with pytest.raises(PermanentError):
            charged(resources, order)


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
def test_fail_order_stores_any_error(
    factory: OrderFactory,
    orders: Orders,
    resources: OrderResources,
    error: Any,
    kept: dict[str, str],
) -> None:
    order = factory.order_at(orders, OrderStatus.PAID, (factory.product(orders), 1))
    assert fail(orders, resources, order, error)["status"] == "failed"
    last = orders.transitions(order.id)[-1]
    assert last.detail == kept
    # The message for customers does not contain the error.
    assert last.cause == "An internal error stopped this order. You are not charged for it."


def test_fail_order_unknown_payment_is_transient(
    factory: OrderFactory, orders: Orders, resources: OrderResources
) -> None:
    order = factory.order_at(orders, OrderStatus.PAID, (factory.product(orders), 1))
    charged(resources, order)

    class Away:
        def __getattr__(self, name: str) -> Any:
            def call(*_: Any, **__: Any) -> Any:
                raise TransientError("the provider is away")

            return call

    with pytest.raises(TransientError):
        fail_order(orders, resources, Away()).handle({"order_id": order.id}, TASK)
    found = now(orders, order)
    assert (found.status, found.settled_at) == (OrderStatus.FAILED, None)
    assert resources.published(order.id) == []
    assert fail(orders, resources, order) == {"status": "failed", "refunded": True}
    assert now(orders, order).settled_at is not None


@pytest.mark.parametrize("status", OrderStatus)
def test_fail_order_deletes_print_files(
    factory: OrderFactory, orders: Orders, resources: OrderResources, status: OrderStatus
) -> None:
    """fulfill-order wrote all files, and its token timed out."""
    order, other = (
        factory.order_at(orders, at, (factory.product(orders), 1))
        for at in (status, OrderStatus.FULFILLED)
    )
    for one in (order, other):
        for name in ("01-a.jpg", JOB_SHEET):
            key = order_prefix(one) + name
            resources.s3.put_object(Bucket=resources.prints_bucket, Key=key, Body=b"x")
    for _ in range(2):
        fail(orders, resources, order)
    left = (
        frozenset()
        if now(orders, order).status.is_unfulfilled_terminal
        else {"01-a.jpg", JOB_SHEET}
    )
    assert list_files(resources.s3, resources.prints_bucket, order) == left
    assert list_files(resources.s3, resources.prints_bucket, other) == {"01-a.jpg", JOB_SHEET}


# -- release-stock, notifications and ship-order


@pytest.mark.parametrize("status", OrderStatus)
def test_release_stock_only_after_an_end_without_prints(
    factory: OrderFactory, orders: Orders, status: OrderStatus
) -> None:
    product = factory.product(orders, 5)
    order = factory.order_at(orders, status, (product, 2))
    before = Products(orders.database).stock_levels()[product]
    step = ReleaseStock(orders)
    if status.is_unfulfilled_terminal:
        assert step.handle({"order_id": order.id}, TASK) == {"status": status.value}
    else:
        with pytest.raises(OrderUnderWay):
            step.handle({"order_id": order.id}, TASK)
    assert factory.assert_balanced(orders, product, 5) == before


def test_notify_out_of_stock_repeated_publishes_one_event_id(
    factory: OrderFactory, orders: Orders, resources: OrderResources
) -> None:
    order = factory.order_at(orders, OrderStatus.OUT_OF_STOCK, (factory.product(orders), 1))
    step = NotifyOutOfStock(orders, resources.sns, resources.topic_arn)
    answers = [step.handle({"order_id": order.id}, TASK) for _ in range(2)]
    heard = resources.published(order.id)
    assert [{"event_id": event.id} for event in heard] == answers
    assert len({event.id for event in heard}) == 1


def test_ship_order_moves_a_fulfilled_order_to_shipped(
    factory: OrderFactory, orders: Orders
) -> None:
    order = factory.order_at(orders, OrderStatus.FULFILLED, (factory.product(orders), 1))
    message = event_message(order_event(OrderEventType.SHIPPED, order.id))
    for _ in range(2):
        ShipOrder(orders).handle(message)
    assert now(orders, order).status is OrderStatus.SHIPPED
    assert len(orders.transitions(order.id)) == 6
    # Other events change nothing.
    paid = factory.order_at(orders, OrderStatus.PAID, (factory.product(orders), 1))
    ShipOrder(orders).handle(event_message(order_event(OrderEventType.CREATED, paid.id)))
    assert now(orders, paid).status is OrderStatus.PAID


def test_ship_order_unknown_order_is_a_permanent_error(orders: Orders) -> None:
    for order_id in ("x", "", NO_ORDER):
        with pytest.raises(PermanentError):
            ShipOrder(orders).handle(event_message(order_event(OrderEventType.SHIPPED, order_id)))
