"""Stock under concurrent orders: nothing is sold twice, nothing is lost, nothing stays reserved.

The property everywhere: available = start - sold - reserved, and the reservations say the same.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from functools import partial

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.orders.model import (
    IllegalTransition,
    Order,
    OrderStatus,
    OrderUnderWay,
    OutOfStock,
    StockLevel,
    StockNotReserved,
)
from services.orders.products import Products
from services.orders.store import Orders
from services.platform.errors import PermanentError
from tests.integration.orders.environment import PATHS, OrderFactory
from tests.support.at_once import at_once

RESERVED, VALIDATED, PAID = OrderStatus.RESERVED, OrderStatus.VALIDATED, OrderStatus.PAID


def validated(factory: OrderFactory, orders: Orders, *lines: tuple[str, int]) -> Order:
    return factory.order_at(orders, VALIDATED, *lines)


def stock(on_hand: int, reserved: int, sold: int) -> StockLevel:
    return StockLevel(on_hand, reserved, sold)


def test_stock_is_reserved_then_sold(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders, 10)
    # The quantities of two lines of one product add up.
    order = validated(factory, orders, (product, 3), (product, 4))
    assert Products(orders.database).stock_levels()[product] == stock(10, 0, 0)
    orders.advance(order.id, RESERVED)
    assert Products(orders.database).stock_levels()[product] == stock(10, 7, 0)
    (seen,) = [item for item in Products(orders.database).on_sale() if item.id == product]
    assert seen.available == 3
    orders.advance(order.id, PAID)
    orders.advance(order.id, OrderStatus.FULFILLED)
    assert factory.assert_balanced(orders, product, 10) == stock(3, 0, 7)
    orders.advance(order.id, RESERVED)  # late, and twice
    orders.advance(order.id, OrderStatus.FULFILLED)
    assert factory.assert_balanced(orders, product, 10) == stock(3, 0, 7)


def test_reserve_one_missing_product_reserves_nothing(
    factory: OrderFactory, orders: Orders
) -> None:
    plenty, scarce, unknown = (factory.product(orders, n) for n in (10, 2, 0))
    order = validated(factory, orders, (plenty, 5), (scarce, 2), (scarce, 1), (unknown, 1))
    with pytest.raises(OutOfStock) as caught:
        orders.advance(order.id, RESERVED)
    assert caught.value.missing == {scarce: (3, 2), unknown: (1, 0)}
    for product, start in ((plenty, 10), (scarce, 2), (unknown, 0)):
        assert factory.assert_balanced(orders, product, start) == stock(start, 0, 0)
    found = orders.get(order.id)
    assert found is not None
    assert found.status is VALIDATED


def test_reserve_last_print_succeeds(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders, 2)
    orders.advance(validated(factory, orders, (product, 2)).id, RESERVED)
    with pytest.raises(OutOfStock):
        orders.advance(validated(factory, orders, (product, 1)).id, RESERVED)
    assert factory.assert_balanced(orders, product, 2) == stock(2, 2, 0)


@pytest.mark.parametrize("status", [status for status in PATHS if status.is_unfulfilled_terminal])
def test_advance_to_an_end_without_prints_releases_stock_once(
    factory: OrderFactory, orders: Orders, status: OrderStatus
) -> None:
    product = factory.product(orders, 5)
    order = factory.order_at(orders, status, (product, 3))
    assert Products(orders.database).stock_levels()[product] == stock(5, 0, 0)
    # A second release must not take the stock of another order.
    orders.advance(validated(factory, orders, (product, 3)).id, RESERVED)
    for _ in range(2):
        orders.release_stock(order.id)
        orders.advance(order.id, status)
    assert factory.assert_balanced(orders, product, 5) == stock(5, 3, 0)


@pytest.mark.parametrize(
    "status", [status for status in PATHS if not status.is_unfulfilled_terminal]
)
def test_release_stock_of_an_active_order_is_refused(
    factory: OrderFactory, orders: Orders, status: OrderStatus
) -> None:
    product = factory.product(orders, 5)
    order = factory.order_at(orders, status, (product, 3))
    before = factory.assert_balanced(orders, product, 5)
    with pytest.raises(OrderUnderWay):
        orders.release_stock(order.id)
    assert factory.assert_balanced(orders, product, 5) == before
    if status is PAID:
        orders.advance(order.id, OrderStatus.FULFILLED)
        assert factory.assert_balanced(orders, product, 5) == stock(2, 0, 3)


def test_consume_unreserved_stock_is_refused(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders, 5)
    order = factory.order_at(orders, PAID, (product, 3))
    with orders.database.transaction() as cursor:
        cursor.execute("UPDATE reservations SET state = 'released' WHERE order_id = %s", [order.id])
        cursor.execute("UPDATE stock SET reserved = 0 WHERE product_id = %s", [product])
    with pytest.raises(StockNotReserved, match="not reserved but released"):
        orders.advance(order.id, OrderStatus.FULFILLED)
    with orders.database.transaction() as cursor:
        cursor.execute("DELETE FROM reservations WHERE order_id = %s", [order.id])
    with pytest.raises(StockNotReserved, match="not reserved but missing"):
        orders.advance(order.id, OrderStatus.FULFILLED)
    assert Products(orders.database).stock_levels()[product] == stock(5, 0, 0)


def test_database_constraint_prevents_overselling(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders, 5)
    for column, value in (("reserved", 6), ("reserved", -1), ("sold", -1), ("on_hand", -1)):
        with pytest.raises(psycopg2.errors.CheckViolation), orders.database.transaction() as cursor:
            cursor.execute(
                f"UPDATE stock SET {column} = %s WHERE product_id = %s",  # noqa: S608
                [value, product],
            )


def test_offer_adds_the_delivery_to_the_stock(factory: OrderFactory, orders: Orders) -> None:
    product = factory.product(orders, 2)
    orders.advance(validated(factory, orders, (product, 2)).id, RESERVED)
    (now,) = [item for item in Products(orders.database).on_sale() if item.id == product]
    Products(orders.database).offer(now, 3)
    assert factory.assert_balanced(orders, product, 5) == stock(5, 2, 0)


# -- concurrency


def test_reserve_concurrent_orders_never_oversell(factory: OrderFactory, orders: Orders) -> None:
    """40 orders of one to three prints, eight at a time, for 25 prints."""
    product = factory.product(orders, 25)
    sizes = [1 + n % 3 for n in range(40)]
    waiting = [validated(factory, orders, (product, size)) for size in sizes]
    queue = list(zip(waiting, sizes, strict=True))
    random.Random(1).shuffle(queue)
    lock, sold = threading.Lock(), Counter[str]()

    def work() -> None:
        own = factory.orders()
        while True:
            with lock:
                if not queue:
                    return
                order, size = queue.pop()
            try:
                own.advance(order.id, RESERVED)
            except OutOfStock as error:
                (wanted, available) = error.missing[product]
                assert wanted == size > available
                sold["refused"] += 1
            else:
                sold["prints"] += size

    outcomes = at_once([work] * 8)
    assert outcomes == [None] * 8
    level = factory.assert_balanced(orders, product, 25)
    assert level.reserved == sold["prints"]
    # No order was refused available stock.
    assert level.available < 3
    assert sold["refused"] > 0


def test_reserve_concurrent_orders_of_same_products_never_deadlock(
    factory: OrderFactory, orders: Orders
) -> None:
    products = [factory.product(orders, 1000) for _ in range(4)]
    chance = random.Random(2)

    def lines() -> list[tuple[str, int]]:
        return [(product, 1) for product in chance.sample(products, 4)]

    waiting = [[validated(factory, orders, *lines()) for _ in range(8)] for _ in range(6)]

    def work(mine: list[Order], last: OrderStatus) -> None:
        own = factory.orders()
        for order in mine:
            own.advance(order.id, RESERVED)
            own.advance(order.id, PAID)
            own.advance(order.id, last)

    outcomes = at_once(
        [
            partial(work, mine, last)
            for mine, last in zip(
                waiting, [OrderStatus.FULFILLED, OrderStatus.CANCELLED] * 3, strict=True
            )
        ]
    )
    assert outcomes == [None] * 6
    for product in products:
        assert factory.assert_balanced(orders, product, 1000) == stock(1000 - 24, 0, 24)


@pytest.mark.parametrize("start", [VALIDATED, RESERVED, PAID])
def test_advance_concurrent_cancellation_is_serialized(
    factory: OrderFactory, orders: Orders, start: OrderStatus
) -> None:
    """check-inventory, process-payment or fulfill-order moves the order while the customer cancels
    it: one wins, and the stock matches the status."""
    onward = {VALIDATED: RESERVED, RESERVED: PAID, PAID: OrderStatus.FULFILLED}[start]
    product, customer, workflow = factory.product(orders, 200), factory.orders(), factory.orders()
    ends: Counter[str] = Counter()
    sold = 0
    for _ in range(15):
        order = factory.order_at(orders, start, (product, 1))
        moved, cancelled = at_once(
            [
                partial(workflow.advance, order.id, onward),
                partial(customer.advance, order.id, OrderStatus.CANCELLED),
            ]
        )
        found = orders.get(order.id)
        assert found is not None
        ends[found.status] += 1
        steps = [step.to for step in orders.transitions(order.id)]
        if found.status is OrderStatus.CANCELLED:
            assert isinstance(cancelled, Order)
            # Moved before the cancellation, or refused after it.
            assert (onward in steps) == isinstance(moved, Order)
            assert isinstance(moved, Order | IllegalTransition)
            assert onward is not OrderStatus.FULFILLED or onward not in steps
        else:
            assert found.status is OrderStatus.FULFILLED
            assert isinstance(cancelled, IllegalTransition)
            sold += 1
        assert len(steps) == len(set(steps))
        factory.assert_balanced(orders, product, 200)
    assert factory.assert_balanced(orders, product, 200) == stock(200 - sold, 0, sold)
    if start is not PAID:
        assert ends == {OrderStatus.CANCELLED: 15}


def test_release_concurrent_calls_count_once(factory: OrderFactory, orders: Orders) -> None:
    """fail-order, release-stock and a cancellation at the same moment, for many orders."""
    product = factory.product(orders, 50)
    held = [factory.order_at(orders, RESERVED, (product, 2)) for _ in range(10)]
    others = [factory.order_at(orders, RESERVED, (product, 2)) for _ in range(5)]
    own = [factory.orders() for _ in range(4)]
    for order in held:
        outcomes = at_once(
            [
                partial(own[0].advance, order.id, OrderStatus.FAILED),
                partial(own[1].advance, order.id, OrderStatus.CANCELLED),
                partial(own[2].release_stock, order.id),
                partial(own[3].release_stock, order.id),
            ]
        )
        assert sum(isinstance(outcome, Order) for outcome in outcomes) == 1
        assert all(
            outcome is None or isinstance(outcome, Order | IllegalTransition | OrderUnderWay)
            for outcome in outcomes
        )
    assert factory.assert_balanced(orders, product, 50) == stock(50, 2 * len(others), 0)


# -- any sequence of operations

MOVES = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([*OrderStatus, "release"]),
    ),
    max_size=30,
)


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(moves=MOVES, start=st.integers(0, 6))
def test_stock_any_sequence_of_operations_balances(
    factory: OrderFactory, orders: Orders, moves: list[tuple[int, OrderStatus | str]], start: int
) -> None:
    product, user = factory.product(orders, start), factory.user()
    made = [orders.create(factory.new(user, (product, 1 + n))) for n in range(4)]
    for number, move in moves:
        order_id = made[number].id
        try:
            if isinstance(move, OrderStatus):
                orders.advance(order_id, move)
            else:
                orders.release_stock(order_id)
        except PermanentError:
            pass
        level = Products(orders.database).stock_levels()[product]
        assert level.on_hand + level.sold == start
        assert level.available >= 0
    factory.assert_balanced(orders, product, start)
    ended = [orders.get(order.id) for order in made]
    assert Products(orders.database).stock_levels()[product].sold == sum(
        order.lines[0].quantity
        for order in ended
        if order and order.status in (OrderStatus.FULFILLED, OrderStatus.SHIPPED)
    )
    assert Products(orders.database).stock_levels()[product].reserved == sum(
        order.lines[0].quantity for order in ended if order and order.status in (RESERVED, PAID)
    )
