"""The order store on Postgres: orders, their history and their pages."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg2
import pytest

from services.orders.model import (
    TRANSITIONS,
    IllegalTransition,
    KeyReused,
    MixedCurrencies,
    NewLine,
    OrderNotFound,
    OrderStatus,
    Orientation,
    TotalTooHigh,
    UnknownProducts,
)
from services.orders.products import Products
from services.orders.store import Orders, Position
from tests.integration.orders.environment import IMAGE_ID, PATHS, PRICE_MINOR, OrderFactory
from tests.support.at_once import at_once

NO_ORDER = "00000000-0000-0000-0000-000000000000"


# -- creation


def test_create_stores_the_order(factory: OrderFactory, orders: Orders) -> None:
    user, product = factory.user(), factory.product(orders)
    delivery = dataclasses.replace(factory.new(user).delivery, line2="c/o Ünal", city="Zürich")
    lines = (
        NewLine(product, IMAGE_ID, 3, (0.25, 1.0), Orientation.LANDSCAPE),
        NewLine(product, IMAGE_ID, 100),
    )
    made = orders.create(factory.new(user, lines=lines, delivery=delivery))
    assert orders.get(made.id) == made == orders.of_user(user, made.id)
    assert (made.status, made.total_minor, made.currency) == (
        OrderStatus.CREATED,
        103 * PRICE_MINOR,
        "EUR",
    )
    assert made.delivery == delivery
    first, second = made.lines
    assert (first.number, first.focus, first.orientation) == (1, (0.25, 1.0), "landscape")
    assert (second.number, second.focus, second.orientation) == (2, None, "follows-photo")
    assert (first.product_name, first.paper, first.width_mm, first.height_mm) == (
        "Test print", "matte", 100.0, 150.0,
    )  # fmt: skip
    assert (made.started_at, made.settled_at, made.refund_id) == (None, None, None)
    (step,) = orders.transitions(made.id)
    assert (step.number, step.came_from, step.to, step.cause, step.detail) == (
        1, None, OrderStatus.CREATED, "", {},
    )  # fmt: skip


def test_create_keeps_the_price_after_a_change(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders)
    made = orders.create(factory.new(factory.user(), (product, 2)))
    (now,) = [item for item in Products(orders.database).on_sale() if item.id == product]
    Products(orders.database).offer(dataclasses.replace(now, price_minor=999, name="Dearer"), 0)
    found = orders.get(made.id)
    assert found is not None
    assert (found.total_minor, found.lines[0].unit_price_minor) == (2 * PRICE_MINOR, PRICE_MINOR)
    assert found.lines[0].product_name == "Test print"


def test_create_unknown_product_is_refused(factory: OrderFactory, orders: Orders) -> None:
    user, product = factory.user(), factory.product(orders)
    gone = factory.product(orders)
    with orders.database.transaction() as cursor:
        cursor.execute("UPDATE products SET sold_now = false WHERE id = %s", [gone])
    with pytest.raises(UnknownProducts) as caught:
        orders.create(factory.new(user, (product, 1), ("never-sold", 1), (gone, 1)))
    assert caught.value.ids == {"never-sold", gone}
    assert orders.page(user, 10) == ()
    assert gone not in {item.id for item in Products(orders.database).on_sale()}


def test_create_mixed_currencies_are_refused(factory: OrderFactory, orders: Orders) -> None:
    user = factory.user()
    products = [factory.product(orders, currency=currency) for currency in ("EUR", "USD")]
    with pytest.raises(MixedCurrencies, match="EUR, USD"):
        orders.create(factory.new(user, *((product, 1) for product in products)))
    assert orders.page(user, 10) == ()


def test_create_total_too_high_is_refused(factory: OrderFactory, orders: Orders) -> None:
    user = factory.user()
    dear = factory.product(orders, price_minor=500_000, currency="VND")
    lines = tuple(NewLine(dear, IMAGE_ID, 100) for _ in range(50))
    with pytest.raises(TotalTooHigh, match="exceeds 99999999"):
        orders.create(factory.new(user, lines=lines))  # more than Postgres's integer, too
    with pytest.raises(TotalTooHigh):
        orders.create(factory.new(user, lines=lines[:2]))
    assert orders.create(factory.new(user, lines=lines[:1])).total_minor == 50_000_000


# -- idempotency keys


def test_create_repeated_key_returns_the_same_order(factory: OrderFactory, orders: Orders) -> None:
    user, product = factory.user(), factory.product(orders)
    new = factory.new(user, (product, 1), idempotency_key="key")
    made = orders.create(new)
    orders.advance(made.id, OrderStatus.VALIDATED)
    # Even after the customer's e-mail address and the price have changed.
    (now,) = [item for item in Products(orders.database).on_sale() if item.id == product]
    Products(orders.database).offer(dataclasses.replace(now, price_minor=1), 0)
    again = orders.create(dataclasses.replace(new, recipient="new@darkroom.example"))
    assert (again.id, again.total_minor, again.recipient) == (
        made.id, made.total_minor, made.recipient,
    )  # fmt: skip
    assert again.status is OrderStatus.VALIDATED
    with orders.database.transaction() as cursor:
        cursor.execute("UPDATE products SET sold_now = false WHERE id = %s", [product])
    assert orders.create(new).id == made.id
    assert len(orders.page(user, 10)) == 1


def test_create_key_of_another_order_is_refused(factory: OrderFactory, orders: Orders) -> None:
    user, product = factory.user(), factory.product(orders)
    new = factory.new(user, (product, 1), idempotency_key="key")
    orders.create(new)
    (line,) = new.lines
    others: list[dict[str, Any]] = [
        {"lines": (dataclasses.replace(line, quantity=2),)},
        {"lines": (dataclasses.replace(line, focus=(0.5, 0.5)),)},
        {"lines": (dataclasses.replace(line, orientation=Orientation.PORTRAIT),)},
        {"lines": (dataclasses.replace(line, image_id="f" * 32),)},
        {"lines": (line, line)},
        {"lines": (dataclasses.replace(line, product_id="never-sold"),)},
        {"payment_method": "sandbox-declined"},
        {"delivery": dataclasses.replace(new.delivery, line2="2nd floor")},
    ]
    for other in others:
        with pytest.raises(KeyReused):
            orders.create(dataclasses.replace(new, **other))
    assert len(orders.page(user, 10)) == 1


def test_create_keys_of_two_customers_are_independent(
    factory: OrderFactory, orders: Orders
) -> None:
    product = factory.product(orders)
    anna, berta = factory.user(), factory.user()
    made = [
        orders.create(factory.new(user, (product, quantity), idempotency_key="key"))
        for user, quantity in ((anna, 1), (berta, 2))
    ]
    assert [order.user_id for order in made] == [anna, berta]
    assert orders.of_user(berta, made[0].id) is None
    # Without a key every request creates an order.
    assert len({orders.create(factory.new(anna, (product, 1))).id for _ in range(2)}) == 2


def test_create_concurrent_repeated_key_creates_one_order(
    factory: OrderFactory, orders: Orders
) -> None:
    user, product = factory.user(), factory.product(orders)
    for round_ in range(5):
        new = factory.new(user, (product, 1), idempotency_key=f"key-{round_}")
        made = at_once([partial(factory.orders().create, new) for _ in range(6)])
        assert len({order.id for order in made}) == 1, made
        assert len(orders.transitions(made[0].id)) == 1
    assert len(orders.page(user, 100)) == 5


def test_create_concurrent_orders_with_one_key_refuses_one(
    factory: OrderFactory, orders: Orders
) -> None:
    user, product = factory.user(), factory.product(orders)
    for round_ in range(5):
        news = [
            factory.new(user, (product, n), idempotency_key=f"key-{round_}") for n in (1, 2, 1, 2)
        ]
        outcomes = at_once([partial(factory.orders().create, new) for new in news])
        refused = [isinstance(outcome, KeyReused) for outcome in outcomes]
        assert refused in ([False, True] * 2, [True, False] * 2), outcomes
    assert len(orders.page(user, 100)) == 5


# -- transitions


@pytest.mark.parametrize("start", PATHS)
def test_advance_allows_exactly_the_legal_transitions(
    factory: OrderFactory, orders: Orders, start: OrderStatus
) -> None:
    product = factory.product(orders, 20)
    for to in OrderStatus:
        order = factory.order_at(orders, start, (product, 1))
        before = orders.transitions(order.id)
        been = {step.to for step in before}
        if to in TRANSITIONS[start]:
            assert orders.advance(order.id, to, "why", {"n": 1}).status is to
            *earlier, last = orders.transitions(order.id)
            assert tuple(earlier) == before
            assert (last.number, last.came_from, last.to) == (len(before) + 1, start, to)
            assert (last.cause, last.detail) == ("why", {"n": 1})
            assert last.at >= before[-1].at
            # A repetition changes nothing.
            assert orders.advance(order.id, to, "again").status is to
            assert orders.transitions(order.id) == (*before, last)
        elif to in been:
            assert orders.advance(order.id, to, "again").status is start
            assert orders.transitions(order.id) == before
        else:
            with pytest.raises(IllegalTransition) as caught:
                orders.advance(order.id, to)
            assert (caught.value.current, caught.value.to) == (start, to)
            found = orders.get(order.id)
            assert found is not None
            assert (found.status, found.updated_at) == (start, order.updated_at)
            assert orders.transitions(order.id) == before


def test_history_is_append_only(factory: OrderFactory, orders: Orders) -> None:
    order = factory.order_at(orders, OrderStatus.PAID, (factory.product(orders), 1))
    before = orders.transitions(order.id)
    for statement in (
        "UPDATE order_transitions SET cause = 'another' WHERE order_id = %s",
        "DELETE FROM order_transitions WHERE order_id = %s",
        "TRUNCATE order_transitions",
    ):
        with (
            pytest.raises(psycopg2.errors.RaiseException, match="only ever added to"),
            orders.database.transaction() as cursor,
        ):
            cursor.execute(statement, [order.id] if "%s" in statement else None)
    # A status cannot be entered twice, and entries keep their order.
    for number, status in ((9, "paid"), (2, "shipped")):
        with (
            pytest.raises(psycopg2.errors.UniqueViolation),
            orders.database.transaction() as cursor,
        ):
            cursor.execute(
                "INSERT INTO order_transitions (order_id, number, to_status, cause, detail) "
                "VALUES (%s, %s, %s, '', '{}')",
                [order.id, number, status],
            )
    assert orders.transitions(order.id) == before


@pytest.mark.parametrize("order_id", [NO_ORDER, "", "x", "x" * 5000, "{" + NO_ORDER + "}", "\0"])
def test_store_unknown_order_is_not_found(orders: Orders, order_id: str) -> None:
    assert orders.get(order_id) is None
    assert orders.of_user(NO_ORDER, order_id) is None
    assert orders.transitions(order_id) == ()
    for move in (
        lambda: orders.advance(order_id, OrderStatus.PAID),
        lambda: orders.release_stock(order_id),
        lambda: orders.settle(order_id, None),
    ):
        with pytest.raises(OrderNotFound):
            move()


@pytest.mark.parametrize("status", PATHS)
def test_settle_only_orders_without_prints_and_once(
    factory: OrderFactory, orders: Orders, status: OrderStatus
) -> None:
    order = factory.order_at(orders, status, (factory.product(orders), 1))
    settled = orders.settle(order.id, "refund-1")
    if not status.is_unfulfilled_terminal:
        assert (settled.settled_at, settled.refund_id) == (None, None)
        return
    assert settled.settled_at is not None
    again = orders.settle(order.id, "refund-2")
    assert (again.refund_id, again.settled_at) == ("refund-1", settled.settled_at)


def test_settle_later_refund_is_recorded(factory: OrderFactory, orders: Orders) -> None:
    order = factory.order_at(orders, OrderStatus.CANCELLED, (factory.product(orders), 1))
    first = orders.settle(order.id, None)
    later = orders.settle(order.id, "refund-1")
    assert (first.refund_id, later.refund_id) == (None, "refund-1")
    assert first.settled_at == later.settled_at


def test_mark_started_repeated_keeps_the_time(factory: OrderFactory, orders: Orders) -> None:
    order = factory.order_at(orders, OrderStatus.CREATED, (factory.product(orders), 1))
    now = datetime.now(UTC)
    assert order.id in {item.id for item in orders.unstarted(now + timedelta(seconds=9), 1000)}
    assert order.id not in {item.id for item in orders.unstarted(order.created_at, 1000)}
    orders.mark_started(order.id)
    first = orders.get(order.id)
    orders.mark_started(order.id)
    assert first is not None
    assert first.started_at is not None
    assert orders.get(order.id) == first
    assert order.id not in {item.id for item in orders.unstarted(now + timedelta(seconds=9), 1000)}


@pytest.mark.parametrize("status", PATHS)
def test_open_and_unsettled_orders_by_status(
    factory: OrderFactory, orders: Orders, status: OrderStatus
) -> None:
    order = factory.order_at(orders, status, (factory.product(orders), 1))
    later = datetime.now(UTC) + timedelta(seconds=9)
    open_ = {item.id for item in orders.open(later, 1000)}
    unsettled = {item.id for item in orders.unsettled(later, 1000)}
    assert (order.id in open_) == (OrderStatus.FAILED in TRANSITIONS[status])
    assert (order.id in unsettled) == status.is_unfulfilled_terminal
    assert order.id not in {item.id for item in orders.open(order.updated_at, 1000)}
    orders.settle(order.id, None)
    assert order.id not in {item.id for item in orders.unsettled(later, 1000)}


# -- pages


def test_page_contains_every_order_once(factory: OrderFactory, orders: Orders) -> None:
    user, product = factory.user(), factory.product(orders)
    made = [orders.create(factory.new(user, (product, 1))).id for _ in range(7)]
    orders.create(factory.new(factory.user(), (product, 1)))  # another's
    seen: list[str] = []
    before = None
    for _ in range(10):
        page = orders.page(user, 2, before)
        if not page:
            break
        seen += [order.id for order in page]
        before = Position(page[-1].created_at, page[-1].id)
        # An order created meanwhile is not on a later page.
        orders.create(factory.new(user, (product, 1)))
    assert seen == list(reversed(made))


def test_page_orders_of_the_same_time_are_complete(factory: OrderFactory, orders: Orders) -> None:
    user, product = factory.user(), factory.product(orders)
    made = [orders.create(factory.new(user, (product, 1))).id for _ in range(5)]
    with orders.database.transaction() as cursor:
        cursor.execute("UPDATE orders SET created_at = now() WHERE user_id = %s", [user])
    seen: list[str] = []
    before = None
    while page := orders.page(user, 2, before):
        seen += [order.id for order in page]
        before = Position(page[-1].created_at, page[-1].id)
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5
    assert uuid.UUID(seen[0]) > uuid.UUID(seen[-1])
