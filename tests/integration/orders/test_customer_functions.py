"""What customers do with orders, up to a started workflow: on a real Postgres, with a real state
machine and a real topic. The routes' checks of what comes are in tests/unit/orders."""

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
from tests.integration.orders.conftest import IMAGE_ID, PRICE_MINOR, WAYS, Desk, Town
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
class Faulty:
    """A client of AWS that is lost at the calls named in `failing`, before they arrive or after."""

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
class Stand:
    """A counter, with its state machine and topic, and what they may do wrong."""

    town: Town
    machine: str
    states: Faulty
    sns: Faulty

    def starter(self, orders: Orders) -> WorkflowStarter:
        return WorkflowStarter(orders, self.states, self.sns, self.machine, self.town.topic_arn)

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
        states = self.town.session.client("stepfunctions")
        try:
            return [states.describe_execution(executionArn=arn)["input"]]
        except states.exceptions.ExecutionDoesNotExist:
            return []


@pytest.fixture(scope="module")
def machine(town: Town) -> str:
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    made = town.session.client("stepfunctions").create_state_machine(
        name=f"t{uuid.uuid4().hex[:8]}",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::000000000000:role/test",
    )
    return str(made["stateMachineArn"])


@pytest.fixture
def stand(town: Town, machine: str, desk: Desk) -> Stand:
    # Orders of other tests, which nobody meant to start, are nobody's business here.
    with desk.orders().database.transaction() as cursor:
        cursor.execute("UPDATE orders SET started_at = now() WHERE started_at IS NULL")
    states, sns = (town.session.client(service) for service in ("stepfunctions", "sns"))
    return Stand(town, machine, Faulty(states), Faulty(sns))


def refused(call: Callable[[], Any]) -> HttpProblem:
    with pytest.raises(HttpProblem) as caught:
        call()
    return caught.value


# -- ordering


def test_an_order_is_started_and_told_of(desk: Desk, orders: Orders, stand: Stand) -> None:
    user, product = desk.user(), desk.product(orders)
    details = stand.order(orders, user, wanted((product, 2), (product, 1)))
    assert (details.status, details.total_minor, details.currency) == (
        "created", 3 * PRICE_MINOR, "EUR",
    )  # fmt: skip
    assert [step.status for step in details.history] == ["created"]
    assert details.delivery == ADDRESS
    assert [(line.number, line.quantity) for line in details.lines] == [(1, 2), (2, 1)]
    assert stand.executions(details.id) == [json.dumps({"order_id": details.id})]
    (event,) = stand.town.heard(details.id)
    assert event.type is OrderEventType.CREATED
    made = orders.get(details.id)
    assert made is not None
    assert made.started_at is not None
    assert (made.recipient, made.user_id) == ("anna@darkroom.example", user)


def test_a_repetition_starts_nothing_again(desk: Desk, orders: Orders, stand: Stand) -> None:
    user, product = desk.user(), desk.product(orders)
    first = stand.order(orders, user, wanted((product, 1)), "key")
    orders.advance(first.id, OrderStatus.VALIDATED)
    again = stand.order(orders, user, wanted((product, 1)), "key")
    assert (again.id, again.status) == (first.id, "validated")
    assert len(stand.states.asked) == 1
    assert len(stand.town.heard(first.id)) == 1


def test_a_key_that_was_used_for_another_order_is_refused(
    desk: Desk, orders: Orders, stand: Stand
) -> None:
    user, product = desk.user(), desk.product(orders)
    stand.order(orders, user, wanted((product, 1)), "key")
    problem = refused(lambda: stand.order(orders, user, wanted((product, 2)), "key"))
    assert problem.problem is api.KEY_REUSED
    # Another customer's key is another key.
    other = stand.order(orders, desk.user(), wanted((product, 2)), "key")
    assert other.lines[0].quantity == 2


def test_the_same_order_sent_twice_at_once_is_started_once(
    desk: Desk, orders: Orders, stand: Stand
) -> None:
    user, product = desk.user(), desk.product(orders)
    for round_ in range(3):
        made = at_once(
            [
                partial(stand.order, desk.orders(), user, wanted((product, 1)), f"key-{round_}")
                for _ in range(4)
            ]
        )
        assert len({details.id for details in made}) == 1
        assert len(stand.executions(made[0].id)) == 1
        assert len({event.id for event in stand.town.heard(made[0].id)}) == 1


def test_every_product_that_is_not_sold_is_named(desk: Desk, orders: Orders, stand: Stand) -> None:
    body = wanted(("never-sold", 1), (desk.product(orders), 1), ("nor-this", 1))
    problem = refused(lambda: stand.order(orders, desk.user(), body))
    assert problem.problem.status == 400
    assert [(e.field, e.got) for e in problem.errors] == [
        ("lines[0].product_id", '"never-sold"'),
        ("lines[2].product_id", '"nor-this"'),
    ]


def test_what_cannot_be_charged_at_once_is_told_before(
    desk: Desk, orders: Orders, stand: Stand
) -> None:
    user = desk.user()
    euro, dollar = (desk.product(orders, currency=currency) for currency in ("EUR", "USD"))
    dear = desk.product(orders, price_minor=99_999_999)
    for body, got in (
        (wanted((euro, 1), (dollar, 1)), "EUR, USD"),
        (wanted((dear, 2)), "199999998"),
    ):
        problem = refused(partial(stand.order, orders, user, body))
        assert problem.problem.status == 400
        assert [(e.field, e.got) for e in problem.errors] == [("lines", got)]
    assert orders.page(user, 10) == ()


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb", "a\nb", "a\x7f"])
def test_what_is_no_key(desk: Desk, orders: Orders, stand: Stand, key: str) -> None:
    user, product = desk.user(), desk.product(orders)
    problem = refused(lambda: stand.order(orders, user, wanted((product, 1)), key))
    assert [e.field for e in problem.errors] == ["Idempotency-Key"]
    assert orders.page(user, 10) == ()


# -- what is cut off


@pytest.mark.parametrize(("client", "call"), [("states", "start_execution"), ("sns", "publish")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_order_whose_start_was_cut_off_is_started_by_its_repetition(
    desk: Desk, orders: Orders, stand: Stand, client: str, call: str, when: str
) -> None:
    user, product = desk.user(), desk.product(orders)
    getattr(stand, client).failing = {call: when}
    with pytest.raises(EndpointConnectionError):  # the wrapper makes a 503 of it
        stand.order(orders, user, wanted((product, 1)), "key")
    (made,) = orders.page(user, 10)
    assert made.started_at is None
    getattr(stand, client).failing = {}
    again = stand.order(orders, user, wanted((product, 1)), "key")
    assert again.id == made.id
    assert len(stand.executions(made.id)) == 1
    assert len({event.id for event in stand.town.heard(made.id)}) == 1


def grown_old(orders: Orders, *order_ids: str) -> None:
    """As if they were made long enough ago to be taken for cut off."""
    with orders.database.transaction() as cursor:
        cursor.execute(
            "UPDATE orders SET created_at = created_at - %s WHERE id = ANY(%s::uuid[])",
            [INTERRUPTED_AFTER + timedelta(seconds=1), list(order_ids)],
        )


def test_the_next_who_orders_starts_what_was_cut_off(
    desk: Desk, orders: Orders, stand: Stand
) -> None:
    product = desk.product(orders)
    cut_off = [desk.order_at(orders, OrderStatus.CREATED, (product, 1)).id for _ in range(4)]
    young = desk.order_at(orders, OrderStatus.CREATED, (product, 1)).id
    grown_old(orders, *cut_off)
    stand.order(orders, desk.user(), wanted((product, 1)))
    # A few at a time, so that nobody waits for all of them.
    assert sum(len(stand.executions(order_id)) for order_id in cut_off) == 3
    stand.order(orders, desk.user(), wanted((product, 1)))
    for order_id in cut_off:
        assert len(stand.executions(order_id)) == 1
    assert stand.executions(young) == []
    assert stand.starter(orders).resume_interrupted() == 0


def tick(seconds: float = 120) -> Message:
    body = json.dumps({"source": SOURCE, "detail-type": DETAIL_TYPE, "detail": {}})
    return Message("m", body, 1, False, time.monotonic() + seconds)


def test_sweeps_side_by_side_start_each_order_once(
    desk: Desk, orders: Orders, stand: Stand
) -> None:
    product = desk.product(orders)
    cut_off = [desk.order_at(orders, OrderStatus.CREATED, (product, 1)).id for _ in range(5)]
    young = desk.order_at(orders, OrderStatus.CREATED, (product, 1)).id
    grown_old(orders, *cut_off)
    starters = [stand.starter(desk.orders()) for _ in range(4)]
    at_once([partial(StartOrders(s.orders, s.start).handle, tick()) for s in starters])
    heard = stand.town.heard(*cut_off)
    for order_id in cut_off:
        assert len(stand.executions(order_id)) == 1
        # Told of more often, perhaps, but always as the same event.
        assert len({event.id for event in heard if event.order_id == order_id}) == 1
    assert stand.executions(young) == []
    assert [order.id for order in orders.unstarted(datetime.now(UTC))] == [young]


@pytest.mark.parametrize(("client", "call"), [("states", "start_execution"), ("sns", "publish")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_next_sweep_ends_what_one_could_not(
    desk: Desk, orders: Orders, stand: Stand, client: str, call: str, when: str
) -> None:
    cut_off = desk.order_at(orders, OrderStatus.CREATED, (desk.product(orders), 1)).id
    grown_old(orders, cut_off)
    sweep = StartOrders(orders, stand.starter(orders).start)
    getattr(stand, client).failing = {call: when}
    sweep.handle(tick())
    assert [order.id for order in orders.unstarted(datetime.now(UTC))] == [cut_off]
    getattr(stand, client).failing = {}
    sweep.handle(tick())
    assert orders.unstarted(datetime.now(UTC)) == ()
    assert len(stand.executions(cut_off)) == 1
    assert len({event.id for event in stand.town.heard(cut_off)}) == 1


def test_a_customer_does_not_hear_of_the_troubles_of_others(
    desk: Desk, orders: Orders, stand: Stand
) -> None:
    """Their own order is made and started; a 503 would have them order again."""
    user, product = desk.user(), desk.product(orders)
    other = desk.order_at(orders, OrderStatus.CREATED, (product, 1)).id
    grown_old(orders, other)
    real = stand.states.real

    class AwayForOthers:
        exceptions = real.exceptions

        def start_execution(self, **arguments: Any) -> Any:
            if arguments["name"] == other:
                raise EndpointConnectionError(endpoint_url="http://away")
            return real.start_execution(**arguments)

    stand.states = Faulty(AwayForOthers())
    details = stand.order(orders, user, wanted((product, 1)))
    assert len(stand.executions(details.id)) == 1
    assert other in {order.id for order in orders.unstarted(datetime.now(UTC), 100)}
    assert len(stand.town.heard(details.id)) == 1


# -- looking


def test_products_are_shown_with_what_is_left(desk: Desk, orders: Orders) -> None:
    some, none = desk.product(orders, 1), desk.product(orders, 0)
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
def test_all_pages_are_all_orders(desk: Desk, orders: Orders, limit: int) -> None:
    user, product = desk.user(), desk.product(orders)
    made = [orders.create(desk.new(user, (product, 1))).id for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        found = page(orders, user, limit=limit, cursor=cursor)
        seen += [order.id for order in found.orders]
        cursor = found.next_cursor
        if cursor is None:
            break
        assert len(found.orders) == limit
        # It leads into nobody else's list.
        assert page(orders, desk.anybody, cursor=cursor).orders != []
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
        # Times that cannot be told in UTC.
        ["0001-01-01T00:00:00+10:00", NO_ORDER],
        ["9999-12-31T23:59:59-10:00", NO_ORDER],
    ],
)
def test_a_cursor_that_is_none_is_refused(desk: Desk, orders: Orders, parts: list[Any]) -> None:
    problem = refused(lambda: page(orders, desk.anybody, cursor=encoded(parts)))
    assert problem.problem.status == 400
    assert [e.field for e in problem.errors] == ["cursor"]


@pytest.mark.parametrize("zone", ["Z", "+15:59", "-23:59", "+23:59", "+00:00:30.5"])
def test_a_cursor_is_a_place_in_any_zone(desk: Desk, orders: Orders, zone: str) -> None:
    user = desk.user()
    order = orders.create(desk.new(user, (desk.product(orders), 1)))
    for day, seen in (("2020-01-01", []), ("2300-01-01", [order.id])):
        found = page(orders, user, cursor=encoded([f"{day}T00:00:00{zone}", NO_ORDER]))
        assert [item.id for item in found.orders] == seen


def encoded(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_an_order_is_shown_to_whom_it_belongs(desk: Desk, orders: Orders) -> None:
    user = desk.user()
    order = desk.order_at(orders, OrderStatus.OUT_OF_STOCK, (desk.product(orders), 1), user_id=user)
    mine = GetOrder(orders).handle(request(user, parameters=api.OrderParameters(id=order.id))).body
    assert isinstance(mine, api.OrderDetails)
    assert [step.status for step in mine.history] == ["created", "validated", "out_of_stock"]
    for other, order_id in ((desk.user(), order.id), (user, NO_ORDER)):
        asked = request(other, parameters=api.OrderParameters(id=order_id))
        problem = refused(partial(GetOrder(orders).handle, asked))
        assert problem.problem is api.ORDER_NOT_FOUND


# -- cancelling


def cancel(orders: Orders, stand: Stand, user_id: str, order_id: str) -> api.OrderDetails:
    cancellation = CancelOrder(orders, stand.sns, stand.town.topic_arn)
    asked = request(user_id, parameters=api.OrderParameters(id=order_id))
    body = cancellation.handle(asked).body
    assert isinstance(body, api.OrderDetails)
    return body


@pytest.mark.parametrize("status", OrderStatus)
def test_an_order_can_be_cancelled_until_its_prints_are_made(
    desk: Desk, orders: Orders, stand: Stand, status: OrderStatus
) -> None:
    user, product = desk.user(), desk.product(orders, 5)
    order = desk.order_at(orders, status, (product, 2), user_id=user)
    before = orders.transitions(order.id)
    going_on = not status.ended and status is not OrderStatus.FULFILLED
    if going_on or status is OrderStatus.CANCELLED:
        for _ in range(2):
            assert cancel(orders, stand, user, order.id).status == "cancelled"
        told = [event.id for event in stand.town.heard(order.id)]
        assert len(told) == 2
        assert len(set(told)) == 1
        assert len(orders.transitions(order.id)) == len(before) + going_on
        assert desk.assert_balanced(orders, product, 5).reserved == 0
    else:
        problem = refused(lambda: cancel(orders, stand, user, order.id))
        assert problem.problem is api.NOT_CANCELLABLE
        assert status.value in problem.detail
        assert stand.town.heard(order.id) == []
        assert orders.transitions(order.id) == before


def test_nobody_cancels_the_order_of_another(desk: Desk, orders: Orders, stand: Stand) -> None:
    order = desk.order_at(orders, OrderStatus.PAID, (desk.product(orders), 1))
    problem = refused(lambda: cancel(orders, stand, desk.user(), order.id))
    assert problem.problem is api.ORDER_NOT_FOUND
    assert [step.to for step in orders.transitions(order.id)] == ["created", *WAYS[order.status]]


def test_a_cancellation_that_was_not_told_is_told_when_it_is_repeated(
    desk: Desk, orders: Orders, stand: Stand
) -> None:
    user = desk.user()
    order = desk.order_at(orders, OrderStatus.PAID, (desk.product(orders), 1), user_id=user)
    stand.sns.failing = {"publish": "before"}
    with pytest.raises(EndpointConnectionError):
        cancel(orders, stand, user, order.id)
    stand.sns.failing = {}
    assert cancel(orders, stand, user, order.id).status == "cancelled"
    (event,) = stand.town.heard(order.id)
    assert event.type is OrderEventType.CANCELLED
