"""Limits of orders and of declined payments."""

from __future__ import annotations

import dataclasses

import pytest

from services.orders.allowance import Allowance
from services.orders.model import OrderLimitReached, OrderStatus
from services.orders.store import Orders
from tests.integration.orders.environment import PATHS, OrderFactory
from tests.integration.orders.requests import CreateOrderSetup, refused
from tests.integration.orders.test_customer_functions import wanted

DAY, HOUR = 24 * 3600, 3600


def age(orders: Orders, order_id: str, seconds: int) -> None:
    """Makes an order older."""
    with orders.database.transaction() as cursor:
        cursor.execute(
            "UPDATE orders SET created_at = created_at - make_interval(secs => %s) WHERE id = %s",
            [seconds, order_id],
        )


def test_create_over_the_orders_of_a_day_waits_for_the_oldest(
    factory: OrderFactory, orders: Orders
) -> None:
    user, product = factory.user(), factory.product(orders)
    allowance = Allowance(orders_per_day=2)
    first = orders.create(factory.new(user, (product, 1)), allowance)
    age(orders, first.id, DAY - HOUR)
    orders.create(factory.new(user, (product, 1)), allowance)
    with pytest.raises(OrderLimitReached, match="2 orders a day") as caught:
        orders.create(factory.new(user, (product, 1)), allowance)
    assert HOUR - 60 < caught.value.retry_after_seconds <= HOUR
    orders.create(factory.new(factory.user(), (product, 1)), allowance)
    age(orders, first.id, HOUR)
    orders.create(factory.new(user, (product, 1)), allowance)


def test_create_after_declined_payments_waits_an_hour(
    factory: OrderFactory, orders: Orders
) -> None:
    user, product = factory.user(), factory.product(orders)
    allowance = Allowance(declined_per_hour=1)
    made = orders.create(factory.new(user, (product, 1)), allowance)
    orders.create(factory.new(user, (product, 1)), allowance)
    for status in PATHS[OrderStatus.PAYMENT_DECLINED]:
        orders.advance(made.id, status)
    with pytest.raises(OrderLimitReached, match="1 declined payments an hour") as caught:
        orders.create(factory.new(user, (product, 1)), allowance)
    assert HOUR - 60 < caught.value.retry_after_seconds <= HOUR
    age(orders, made.id, HOUR)
    orders.create(factory.new(user, (product, 1)), allowance)


def test_create_order_over_its_limit_returns_429_and_repeats_known_orders(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    user, product = factory.user(), factory.product(orders)
    limited = dataclasses.replace(setup, allowance=Allowance(orders_per_day=1))
    first = limited.order(orders, user, wanted((product, 1)), key="k")
    assert limited.order(orders, user, wanted((product, 1)), key="k").id == first.id
    problem = refused(lambda: limited.order(orders, user, wanted((product, 1)), key="other"))
    assert (problem.problem.status, problem.problem.slug) == (429, "limit-reached")
    assert 0 < int(problem.headers["Retry-After"]) <= DAY
