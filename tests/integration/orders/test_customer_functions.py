"""The HTTP functions of orders and start-orders, with Postgres, a state machine and a topic.

tests/unit/orders tests the validation of requests.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.events.orders import OrderEventType
from services.events.schedules import DETAIL_TYPE, SOURCE
from services.orders import api
from services.orders.cancel_order import CancelOrder
from services.orders.create_order import CreateOrder
from services.orders.get_order import GetOrder
from services.orders.list_orders import ListOrders
from services.orders.list_products import ListProducts
from services.orders.model import OrderStatus
from services.orders.products import Products
from services.orders.start_orders import StartOrders
from services.orders.start_workflows import INTERRUPTED_AFTER, WorkflowStarter
from services.orders.store import Orders
from services.platform.functions.access import Caller
from services.platform.functions.http import HttpProblem, Request
from services.platform.functions.sqs import Message
from tests.integration.orders.conftest import (
    IMAGE_ID,
    PATHS,
    PRICE_MINOR,
    OrderFactory,
    OrderResources,
)
from tests.support.at_once import at_once

NO_ORDER = str(uuid.UUID(int=0))
ADDRESS = api.Address(
    name="Anna", line1="Hafenstr. 1", postcode="20457", city="Hamburg", country="DE"
)


def request(
    user_id: str,
    *,
    body: Any = None,
    parameters: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    caller = Caller(user_id, "anna@darkroom.example", "customer", "session", 2**40)
    return Request(body, parameters, headers or {}, "/orders", "192.0.2.1", "r", b"", caller)


def wanted(*lines: tuple[str, int], method: str = "sandbox-ok") -> api.OrderRequest:
    return api.OrderRequest(
        lines=[
            api.OrderedPrint(product_id=product, image_id=IMAGE_ID, quantity=quantity)
            for product, quantity in lines
        ],
        payment_method=method,
        delivery=ADDRESS,
    )


@dataclass
class FailingClient:
    """An AWS client that raises an error "before" or "after" each call named in `failing`."""

    real: Any
    failing: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)
        if name == "exceptions":
            return method

        def call(**arguments: Any) -> Any:
            self.asked.append(arguments)
            when = self.failing.get(name)
            if when != "before":
                answer = method(**arguments)
            if when:
                raise EndpointConnectionError(endpoint_url="http://away")
            return answer

        return call


@dataclass
class CreateOrderSetup:
    """create-order and its starter, with clients that may fail."""

    resources: OrderResources
    machine: str
    states: FailingClient
    sns: FailingClient

    def starter(self, orders: Orders) -> WorkflowStarter:
        return WorkflowStarter(
            orders, self.states, self.sns, self.machine, self.resources.topic_arn
        )

    def order(
        self, orders: Orders, user_id: str, body: api.OrderRequest, key: str | None = None
    ) -> api.OrderDetails:
        headers = {} if key is None else {"idempotency-key": key}
        counter = CreateOrder(orders, self.starter(orders))
        response = counter.handle(request(user_id, body=body, headers=headers))
        details = response.body
        assert isinstance(details, api.OrderDetails)
        assert response.status == 201
        assert response.headers["location"] == f"/orders/{details.id}"
        return details

    def executions(self, order_id: str) -> list[str]:
        """The inputs of the order's executions."""
        arn = self.machine.replace(":stateMachine:", ":execution:") + f":{order_id}"
        states = self.resources.session.client("stepfunctions")
        try:
            return [states.describe_execution(executionArn=arn)["input"]]
        except states.exceptions.ExecutionDoesNotExist:
            return []


@pytest.fixture(scope="module")
def machine(resources: OrderResources) -> str:
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    made = resources.session.client("stepfunctions").create_state_machine(
        name=f"t{uuid.uuid4().hex[:8]}",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::000000000000:role/test",
    )
    return str(made["stateMachineArn"])


@pytest.fixture
def setup(resources: OrderResources, machine: str, factory: OrderFactory) -> CreateOrderSetup:
    # Other tests leave unstarted orders behind.
    with factory.orders().database.transaction() as cursor:
        cursor.execute("UPDATE orders SET started_at = now() WHERE started_at IS NULL")
    states, sns = (resources.session.client(service) for service in ("stepfunctions", "sns"))
    return CreateOrderSetup(resources, machine, FailingClient(states), FailingClient(sns))


def refused(call: Callable[[], Any]) -> HttpProblem:
    with pytest.raises(HttpProblem) as caught:
        call()
    return caught.value


# -- create-order


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
        assert page(orders, factory.default_user, cursor=cursor).orders != []
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
