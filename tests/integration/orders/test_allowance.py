"""Limits of orders and of declined payments."""

from __future__ import annotations

import dataclasses
import uuid
from functools import partial

import pytest

from services.orders.allowance import Allowance
from services.orders.create_order import CreateOrder, DeclinedLimit
from services.orders.declined_payments import WINDOW_SECONDS, DeclinedPayments
from services.orders.model import OrderLimitReached, OrderStatus
from services.orders.process_payment import ProcessPayment
from services.orders.store import Orders
from services.payments.model import PaymentDeclined
from services.platform.counters import LimitExceededError
from tests.integration.orders.environment import PATHS, OrderFactory, OrderResources
from tests.integration.orders.requests import CreateOrderSetup, refused, request
from tests.integration.orders.support import TASK
from tests.integration.orders.test_customer_functions import wanted
from tests.support.at_once import at_once
from tests.support.clock import Clock

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


@pytest.fixture
def clock() -> Clock:
    return Clock(float(1_000_000 * WINDOW_SECONDS))


@pytest.fixture
def declined(resources: OrderResources, clock: Clock) -> DeclinedPayments:
    """Declined payments in a table of their own."""
    client, name = resources.session.client("dynamodb"), f"t{uuid.uuid4().hex[:8]}-usage"
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "subject", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "subject", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return DeclinedPayments(client, name, clock)


def test_declined_payments_of_many_accounts_stop_orders_from_their_address(
    factory: OrderFactory,
    orders: Orders,
    setup: CreateOrderSetup,
    resources: OrderResources,
    declined: DeclinedPayments,
    clock: Clock,
) -> None:
    product = factory.product(orders, 9)
    create = CreateOrder(orders, setup.starter(orders), declined=DeclinedLimit(declined, 2))
    pay = ProcessPayment(
        orders, resources.charging, resources.sns, resources.topic_arn, declined
    ).handle

    def order(address: str, method: str = "declined") -> str:
        body = wanted((product, 1), method=method)
        answer = create.handle(request(factory.user(), body=body, address=address))
        order_id: str = answer.body.id  # type: ignore[union-attr]
        for status in PATHS[OrderStatus.RESERVED]:
            orders.advance(order_id, status)
        return order_id

    pay({"order_id": order("192.0.2.1", "sandbox-ok")}, TASK)
    for _ in range(2):
        tried = order("192.0.2.1")
        for _ in range(2):  # the task's message may come twice
            with pytest.raises(PaymentDeclined):
                pay({"order_id": tried}, TASK)
    problem = refused(lambda: order("192.0.2.1"))
    assert (problem.problem.status, problem.problem.slug) == (429, "limit-reached")
    assert "2 declined payments an hour from this address" in problem.detail
    assert problem.headers["Retry-After"] == str(WINDOW_SECONDS)
    order("192.0.2.2")
    clock.now += WINDOW_SECONDS
    order("192.0.2.1")


def test_declined_payment_is_counted_once_by_concurrent_deliveries(
    declined: DeclinedPayments,
) -> None:
    declined.assign("o", "192.0.2.1")
    at_once([partial(declined.count, "o") for _ in range(4)])
    declined.count("an order without a network")
    declined.check("192.0.2.1", 2)
    with pytest.raises(LimitExceededError):
        declined.check("192.0.2.1", 1)


def test_counters_of_declined_payments_hold_no_address_and_no_order(
    declined: DeclinedPayments,
) -> None:
    declined.assign("an-order", "192.0.2.77")
    declined.assign("another-order", "192.0.2.77")
    declined.count("an-order")
    stored = str(declined.dynamodb.scan(TableName=declined.table)["Items"])
    assert "192.0.2.77" not in stored
    assert "order" not in stored
    assert stored.count("expires_at") == 2
