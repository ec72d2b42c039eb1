"""The HTTP functions of orders and start-orders, with Postgres, a state machine and a topic.

tests/unit/orders tests the validation of requests.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.events.orders import OrderEventType
from services.events.schedules import DETAIL_TYPE, SOURCE
from services.orders import api
from services.orders.model import OrderStatus
from services.orders.start_orders import StartOrders
from services.orders.start_workflows import INTERRUPTED_AFTER
from services.orders.store import Orders
from services.platform.functions.sqs import Message
from tests.integration.orders.environment import (
    IMAGE_ID,
    PRICE_MINOR,
    OrderFactory,
)
from tests.integration.orders.requests import CreateOrderSetup, FailingClient, refused
from tests.support.at_once import at_once

ADDRESS = api.Address(
    name="Anna", line1="Hafenstr. 1", postcode="20457", city="Hamburg", country="DE"
)


def wanted(*lines: tuple[str, int], method: str = "sandbox-ok") -> api.OrderRequest:
    return api.OrderRequest(
        lines=[
            api.OrderedPrint(product_id=product, image_id=IMAGE_ID, quantity=quantity)
            for product, quantity in lines
        ],
        payment_method=method,
        delivery=ADDRESS,
    )


def test_create_order_starts_its_workflow_and_publishes_created(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    user, product = factory.user(), factory.product(orders)
    details = setup.order(orders, user, wanted((product, 2), (product, 1)))
    assert (details.status, details.total_minor, details.currency) == (
        "created", 3 * PRICE_MINOR, "EUR",
    )  # fmt: skip
    assert [step.status for step in details.history] == ["created"]
    assert details.delivery == ADDRESS
    assert [(line.number, line.quantity) for line in details.lines] == [(1, 2), (2, 1)]
    assert setup.executions(details.id) == [json.dumps({"order_id": details.id})]
    (event,) = setup.resources.published(details.id)
    assert event.type is OrderEventType.CREATED
    made = orders.get(details.id)
    assert made is not None
    assert made.started_at is not None
    assert (made.recipient, made.user_id) == ("anna@darkroom.example", user)


def test_create_order_repeated_key_starts_nothing(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    user, product = factory.user(), factory.product(orders)
    first = setup.order(orders, user, wanted((product, 1)), "key")
    orders.advance(first.id, OrderStatus.VALIDATED)
    again = setup.order(orders, user, wanted((product, 1)), "key")
    assert (again.id, again.status) == (first.id, "validated")
    assert len(setup.states.asked) == 1
    assert len(setup.resources.published(first.id)) == 1


def test_create_order_key_of_another_order_is_refused(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    user, product = factory.user(), factory.product(orders)
    setup.order(orders, user, wanted((product, 1)), "key")
    problem = refused(lambda: setup.order(orders, user, wanted((product, 2)), "key"))
    assert problem.problem is api.KEY_REUSED
    # Keys of different customers are independent.
    other = setup.order(orders, factory.user(), wanted((product, 2)), "key")
    assert other.lines[0].quantity == 2


def test_create_order_concurrent_repetitions_start_once(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    user, product = factory.user(), factory.product(orders)
    for round_ in range(3):
        made = at_once(
            [
                partial(setup.order, factory.orders(), user, wanted((product, 1)), f"key-{round_}")
                for _ in range(4)
            ]
        )
        assert len({details.id for details in made}) == 1
        assert len(setup.executions(made[0].id)) == 1
        assert len({event.id for event in setup.resources.published(made[0].id)}) == 1


def test_create_order_unknown_products_are_named(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    body = wanted(("never-sold", 1), (factory.product(orders), 1), ("nor-this", 1))
    problem = refused(lambda: setup.order(orders, factory.user(), body))
    assert problem.problem.status == 400
    assert [(e.field, e.got) for e in problem.errors] == [
        ("lines[0].product_id", '"never-sold"'),
        ("lines[2].product_id", '"nor-this"'),
    ]


def test_create_order_not_chargeable_is_refused(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    user = factory.user()
    euro, dollar = (factory.product(orders, currency=currency) for currency in ("EUR", "USD"))
    dear = factory.product(orders, price_minor=99_999_999)
    for body, got in (
        (wanted((euro, 1), (dollar, 1)), "EUR, USD"),
        (wanted((dear, 2)), "199999998"),
    ):
        problem = refused(partial(setup.order, orders, user, body))
        assert problem.problem.status == 400
        assert [(e.field, e.got) for e in problem.errors] == [("lines", got)]
    assert orders.page(user, 10) == ()


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb", "a\nb", "a\x7f"])
def test_create_order_invalid_key_is_refused(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup, key: str
) -> None:
    user, product = factory.user(), factory.product(orders)
    problem = refused(lambda: setup.order(orders, user, wanted((product, 1)), key))
    assert [e.field for e in problem.errors] == ["Idempotency-Key"]
    assert orders.page(user, 10) == ()


# -- interrupted starts


@pytest.mark.parametrize(("client", "call"), [("states", "start_execution"), ("sns", "publish")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_create_order_interrupted_start_is_completed_by_a_repetition(
    factory: OrderFactory,
    orders: Orders,
    setup: CreateOrderSetup,
    client: str,
    call: str,
    when: str,
) -> None:
    user, product = factory.user(), factory.product(orders)
    getattr(setup, client).failing = {call: when}
    with pytest.raises(EndpointConnectionError):  # the wrapper makes a 503 of it
        setup.order(orders, user, wanted((product, 1)), "key")
    (made,) = orders.page(user, 10)
    assert made.started_at is None
    getattr(setup, client).failing = {}
    again = setup.order(orders, user, wanted((product, 1)), "key")
    assert again.id == made.id
    assert len(setup.executions(made.id)) == 1
    assert len({event.id for event in setup.resources.published(made.id)}) == 1


def make_old(orders: Orders, *order_ids: str) -> None:
    """Makes the orders old enough to count as interrupted."""
    with orders.database.transaction() as cursor:
        cursor.execute(
            "UPDATE orders SET created_at = created_at - %s WHERE id = ANY(%s::uuid[])",
            [INTERRUPTED_AFTER + timedelta(seconds=1), list(order_ids)],
        )


def test_create_order_resumes_interrupted_orders(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    product = factory.product(orders)
    interrupted = [factory.order_at(orders, OrderStatus.CREATED, (product, 1)).id for _ in range(4)]
    young = factory.order_at(orders, OrderStatus.CREATED, (product, 1)).id
    make_old(orders, *interrupted)
    setup.order(orders, factory.user(), wanted((product, 1)))
    # A few at a time, so that no request waits for all of them.
    assert sum(len(setup.executions(order_id)) for order_id in interrupted) == 3
    setup.order(orders, factory.user(), wanted((product, 1)))
    for order_id in interrupted:
        assert len(setup.executions(order_id)) == 1
    assert setup.executions(young) == []
    assert setup.starter(orders).resume_interrupted() == 0


def scheduled(seconds: float = 120) -> Message:
    body = json.dumps({"source": SOURCE, "detail-type": DETAIL_TYPE, "detail": {}})
    return Message("m", body, 1, False, time.monotonic() + seconds)


def test_start_orders_concurrent_runs_start_each_order_once(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    product = factory.product(orders)
    interrupted = [factory.order_at(orders, OrderStatus.CREATED, (product, 1)).id for _ in range(5)]
    young = factory.order_at(orders, OrderStatus.CREATED, (product, 1)).id
    make_old(orders, *interrupted)
    starters = [setup.starter(factory.orders()) for _ in range(4)]
    at_once([partial(StartOrders(s.orders, s.start).handle, scheduled()) for s in starters])
    heard = setup.resources.published(*interrupted)
    for order_id in interrupted:
        assert len(setup.executions(order_id)) == 1
        # Events may repeat, always with the same id.
        assert len({event.id for event in heard if event.order_id == order_id}) == 1
    assert setup.executions(young) == []
    assert [order.id for order in orders.unstarted(datetime.now(UTC))] == [young]


@pytest.mark.parametrize(("client", "call"), [("states", "start_execution"), ("sns", "publish")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_start_orders_after_a_failure_completes_the_start(
    factory: OrderFactory,
    orders: Orders,
    setup: CreateOrderSetup,
    client: str,
    call: str,
    when: str,
) -> None:
    interrupted = factory.order_at(orders, OrderStatus.CREATED, (factory.product(orders), 1)).id
    make_old(orders, interrupted)
    function = StartOrders(orders, setup.starter(orders).start)
    getattr(setup, client).failing = {call: when}
    function.handle(scheduled())
    assert [order.id for order in orders.unstarted(datetime.now(UTC))] == [interrupted]
    getattr(setup, client).failing = {}
    function.handle(scheduled())
    assert orders.unstarted(datetime.now(UTC)) == ()
    assert len(setup.executions(interrupted)) == 1
    assert len({event.id for event in setup.resources.published(interrupted)}) == 1


def test_create_order_failed_resume_does_not_affect_the_customer(
    factory: OrderFactory, orders: Orders, setup: CreateOrderSetup
) -> None:
    """The customer's own order is stored and started; a 503 would make them order again."""
    user, product = factory.user(), factory.product(orders)
    other = factory.order_at(orders, OrderStatus.CREATED, (product, 1)).id
    make_old(orders, other)
    real = setup.states.real

    class AwayForOthers:
        exceptions = real.exceptions

        def start_execution(self, **arguments: Any) -> Any:
            if arguments["name"] == other:
                raise EndpointConnectionError(endpoint_url="http://away")
            return real.start_execution(**arguments)

    setup.states = FailingClient(AwayForOthers())
    details = setup.order(orders, user, wanted((product, 1)))
    assert len(setup.executions(details.id)) == 1
    assert other in {order.id for order in orders.unstarted(datetime.now(UTC), 100)}
    assert len(setup.resources.published(details.id)) == 1


# -- list-products, list-orders and get-order
