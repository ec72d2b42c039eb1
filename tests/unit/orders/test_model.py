"""Which way an order may go."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from services.imaging.print_model import PrintOrientation
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
# Row: from; the statuses that may follow. Whatever is not named is illegal.
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
BAD_ENDS = {S.REJECTED, S.OUT_OF_STOCK, S.PAYMENT_DECLINED, S.CANCELLED, S.FAILED}


@pytest.mark.parametrize(("start", "to"), [*itertools.product(OrderStatus, repeat=2)])
def test_every_pair(start: OrderStatus, to: OrderStatus) -> None:
    assert (to in TRANSITIONS[start]) == (to in TABLE[start])


@pytest.mark.parametrize("status", OrderStatus)
def test_ends(status: OrderStatus) -> None:
    assert status.ended == (not TABLE[status])
    assert status.is_unfulfilled_terminal == (status in BAD_ENDS)


def test_no_way_leads_back() -> None:
    """So a status is entered once at most, which the history's key relies on."""

    def beyond(status: OrderStatus) -> set[OrderStatus]:
        return set(TRANSITIONS[status]).union(*map(beyond, TRANSITIONS[status]))

    for status in OrderStatus:
        assert status not in beyond(status)
    assert beyond(S.CREATED) == set(OrderStatus) - {S.CREATED}


def test_what_is_paid_is_made_or_given_back() -> None:
    """Once the prints are made nothing takes the money or the paper away any more."""
    for status in (S.FULFILLED, S.SHIPPED):
        assert not TRANSITIONS[status] & BAD_ENDS


def test_orientations_are_those_of_the_prints() -> None:
    assert {o.value for o in Orientation} == {o.value for o in PrintOrientation}


def test_stock() -> None:
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
def test_errors_say_what_was_expected(error: PermanentError, name: str, message: str) -> None:
    assert (error_name(error), str(error)) == (name, message)
