"""list-products, list-orders, get-order and cancel-order on a real database."""

from __future__ import annotations

import base64
import json
import uuid
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.events.orders import OrderEventType
from services.orders import api
from services.orders.cancel_order import CancelOrder
from services.orders.get_order import GetOrder
from services.orders.list_orders import ListOrders
from services.orders.list_products import ListProducts
from services.orders.model import OrderStatus
from services.orders.products import Products
from services.orders.store import Orders
from tests.integration.orders.environment import (
    PATHS,
    OrderFactory,
)
from tests.integration.orders.requests import CreateOrderSetup, refused, request

NO_ORDER = str(uuid.UUID(int=0))


def test_list_products_shows_availability(factory: OrderFactory, orders: Orders) -> None:
    some, none = factory.product(orders, 1), factory.product(orders, 0)
    response = ListProducts(Products(orders.database)).handle(request(""))
    assert isinstance(response.body, api.Products)
    shown = {item.id: item.available for item in response.body.products}
    assert (shown[some], shown[none]) == (True, False)


def page(orders: Orders, user_id: str, **parameters: Any) -> api.OrderPage:
    asked = api.OrderPageParameters(**parameters)
    body = ListOrders(orders).handle(request(user_id, parameters=asked)).body
    assert isinstance(body, api.OrderPage)
    return body


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
def test_list_orders_pages_contain_every_order_once(
    factory: OrderFactory, orders: Orders, limit: int
) -> None:
    user, product = factory.user(), factory.product(orders)
    other = orders.create(factory.new(factory.default_user, (product, 1))).id
    made = [orders.create(factory.new(user, (product, 1))).id for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        found = page(orders, user, limit=limit, cursor=cursor)
        seen += [order.id for order in found.orders]
        cursor = found.next_cursor
        if cursor is None:
            break
        assert len(found.orders) == limit
        # A cursor of another customer's list shows nothing of it.
        shown = {order.id for order in page(orders, factory.default_user, cursor=cursor).orders}
        assert other in shown
        assert shown.isdisjoint(made)
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        ["2026-01-01T00:00:00+00:00"],
        ["2026-01-01T00:00:00+00:00", "x"],
        ["2026-01-01T00:00:00+00:00", 1],
        ["yesterday", NO_ORDER],
        ["2026-01-01T00:00:00", NO_ORDER],  # of which zone?
        # Times out of range in UTC.
        ["0001-01-01T00:00:00+10:00", NO_ORDER],
        ["9999-12-31T23:59:59-10:00", NO_ORDER],
    ],
)
def test_list_orders_invalid_cursor_is_refused(
    factory: OrderFactory, orders: Orders, parts: list[Any]
) -> None:
    problem = refused(lambda: page(orders, factory.default_user, cursor=encoded(parts)))
    assert problem.problem.status == 400
    assert [e.field for e in problem.errors] == ["cursor"]


@pytest.mark.parametrize("zone", ["Z", "+15:59", "-23:59", "+23:59", "+00:00:30.5"])
def test_list_orders_cursor_in_any_time_zone_is_accepted(
    factory: OrderFactory, orders: Orders, zone: str
) -> None:
    user = factory.user()
    order = orders.create(factory.new(user, (factory.product(orders), 1)))
    for day, seen in (("2020-01-01", []), ("2300-01-01", [order.id])):
        found = page(orders, user, cursor=encoded([f"{day}T00:00:00{zone}", NO_ORDER]))
        assert [item.id for item in found.orders] == seen


def encoded(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_get_order_of_another_customer_is_not_found(factory: OrderFactory, orders: Orders) -> None:
    user = factory.user()
    order = factory.order_at(
        orders, OrderStatus.OUT_OF_STOCK, (factory.product(orders), 1), user_id=user
    )
    mine = GetOrder(orders).handle(request(user, parameters=api.OrderParameters(id=order.id))).body
    assert isinstance(mine, api.OrderDetails)
    assert [step.status for step in mine.history] == ["created", "validated", "out_of_stock"]
    for other, order_id in ((factory.user(), order.id), (user, NO_ORDER)):
        asked = request(other, parameters=api.OrderParameters(id=order_id))
        problem = refused(partial(GetOrder(orders).handle, asked))
        assert problem.problem is api.ORDER_NOT_FOUND


# -- cancel-order


def cancel(
    orders: Orders, setup: CreateOrderSetup, user_id: str, order_id: str
) -> api.OrderDetails:
    cancellation = CancelOrder(orders, setup.sns, setup.resources.topic_arn)
    asked = request(user_id, parameters=api.OrderParameters(id=order_id))
    body = cancellation.handle(asked).body
    assert isinstance(body, api.OrderDetails)
    return body


@pytest.mark.parametrize("status", OrderStatus)
def test_cancel_order_before_fulfilment_succeeds(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup, status: OrderStatus
) -> None:
    user, product = factory.user(), factory.product(orders, 5)
    order = factory.order_at(orders, status, (product, 2), user_id=user)
    before = orders.transitions(order.id)
    going_on = not status.ended and status is not OrderStatus.FULFILLED
    if going_on or status is OrderStatus.CANCELLED:
        for _ in range(2):
            assert cancel(orders, setup, user, order.id).status == "cancelled"
        event_ids = [event.id for event in setup.resources.published(order.id)]
        assert len(event_ids) == 2
        assert len(set(event_ids)) == 1
        assert len(orders.transitions(order.id)) == len(before) + going_on
        assert factory.assert_balanced(orders, product, 5).reserved == 0
    else:
        problem = refused(lambda: cancel(orders, setup, user, order.id))
        assert problem.problem is api.NOT_CANCELLABLE
        assert status.value in problem.detail
        assert setup.resources.published(order.id) == []
        assert orders.transitions(order.id) == before


def test_cancel_order_of_another_customer_is_not_found(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    order = factory.order_at(orders, OrderStatus.PAID, (factory.product(orders), 1))
    problem = refused(lambda: cancel(orders, setup, factory.user(), order.id))
    assert problem.problem is api.ORDER_NOT_FOUND
    assert [step.to for step in orders.transitions(order.id)] == ["created", *PATHS[order.status]]


def test_cancel_order_repeated_publishes_a_lost_event(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    user = factory.user()
    order = factory.order_at(orders, OrderStatus.PAID, (factory.product(orders), 1), user_id=user)
    setup.sns.failing = {"publish": "before"}
    with pytest.raises(EndpointConnectionError):
        cancel(orders, setup, user, order.id)
    setup.sns.failing = {}
    assert cancel(orders, setup, user, order.id).status == "cancelled"
    (event,) = setup.resources.published(order.id)
    assert event.type is OrderEventType.CANCELLED
