"""The status model of an order, stock levels and error messages."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from services.imaging.printing.model import PrintOrientation
from services.orders.model import (
    TRANSITIONS,
    IllegalTransition,
    OrderStatus,
    Orientation,
    OutOfStock,
    StockLevel,
    UnknownProducts,
)
from services.platform.errors import PermanentError
from services.platform.functions.task import error_name

S = OrderStatus
# Status to the statuses that may follow; all others are illegal.
TABLE: dict[OrderStatus, set[OrderStatus]] = {
    S.CREATED: {S.VALIDATED, S.REJECTED, S.CANCELLED, S.FAILED},
    S.VALIDATED: {S.RESERVED, S.OUT_OF_STOCK, S.CANCELLED, S.FAILED},
    S.RESERVED: {S.PAID, S.PAYMENT_DECLINED, S.CANCELLED, S.FAILED},
    S.PAID: {S.FULFILLED, S.CANCELLED, S.FAILED},
    S.FULFILLED: {S.SHIPPED},
    S.SHIPPED: set(),
    S.REJECTED: set(),
    S.OUT_OF_STOCK: set(),
    S.PAYMENT_DECLINED: set(),
    S.CANCELLED: set(),
    S.FAILED: set(),
}
UNFULFILLED_ENDS = {S.REJECTED, S.OUT_OF_STOCK, S.PAYMENT_DECLINED, S.CANCELLED, S.FAILED}


@pytest.mark.parametrize(("start", "to"), [*itertools.product(OrderStatus, repeat=2)])
def test_transitions_every_pair_matches_the_table(start: OrderStatus, to: OrderStatus) -> None:
    assert (to in TRANSITIONS[start]) == (to in TABLE[start])


@pytest.mark.parametrize("status", OrderStatus)
def test_status_terminal_properties_match_the_table(status: OrderStatus) -> None:
    assert status.ended == (not TABLE[status])
    assert status.is_unfulfilled_terminal == (status in UNFULFILLED_ENDS)


def test_transitions_have_no_cycle() -> None:
    """The key of the history relies on it: an order enters each status at most once."""

    def reachable(status: OrderStatus) -> set[OrderStatus]:
        return set(TRANSITIONS[status]).union(*map(reachable, TRANSITIONS[status]))

    for status in OrderStatus:
        assert status not in reachable(status)
    assert reachable(S.CREATED) == set(OrderStatus) - {S.CREATED}


def test_transitions_fulfilled_order_never_ends_without_prints() -> None:
    """Once its prints are made, an order is neither refunded nor is its stock released."""
    for status in (S.FULFILLED, S.SHIPPED):
        assert not TRANSITIONS[status] & UNFULFILLED_ENDS


def test_orientation_values_match_print_orientation() -> None:
    assert {o.value for o in Orientation} == {o.value for o in PrintOrientation}


def test_stock_level_available_excludes_reserved() -> None:
    assert StockLevel(on_hand=5, reserved=3, sold=9).available == 2
    assert dataclasses.astuple(StockLevel(1, 2, 3)) == (1, 2, 3)


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (
            OutOfStock("o", {"b": (3, 1), "a": (2, 0)}),
            "OutOfStock",
            "not enough stock for order o: a (2 wanted, 0 available), b (3 wanted, 1 available)",
        ),
        (
            IllegalTransition("o", S.PAID, S.CREATED),
            "IllegalTransition",
            "order o is paid and cannot become created, only cancelled, failed, fulfilled",
        ),
        (
            IllegalTransition("o", S.FAILED, S.PAID),
            "IllegalTransition",
            "order o is failed and cannot become paid: no status follows",
        ),
        (
            UnknownProducts(frozenset({"b", "a"})),
            "UnknownProducts",
            "products not on sale: a, b",
        ),
    ],
)
def test_error_message_and_name(error: PermanentError, name: str, message: str) -> None:
    assert (error_name(error), str(error)) == (name, message)
