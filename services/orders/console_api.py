"""The HTTP contract of the operator console's orders and stock."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from services.orders.api import PAGE_ORDERS, PAGE_ORDERS_MAX, OrderId, ProductId, Status, Time
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation

# As OrderStatus, or any of them; a test compares them.
ANY: Final = "any"
StatusName = Literal[
    "any", "created", "validated", "reserved", "paid", "fulfilled", "shipped", "rejected",
    "out_of_stock", "payment_declined", "cancelled", "failed",
]  # fmt: skip


class LabOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order of any customer. Money in the minor unit of `currency`."""

    id: OrderId
    status: Status
    currency: str
    total_minor: int
    prints: int
    country: str
    created_at: Time
    updated_at: Time


class StatusCount(msgspec.Struct, frozen=True, kw_only=True):
    status: Status
    orders: int


class LabOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Orders, newest first, and how many have each status. `next_cursor` is null on the last
    page."""

    orders: list[LabOrder]
    counts: list[StatusCount]
    next_cursor: str | None


class LabOrderParameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    status: StatusName = ANY
    limit: Annotated[int, Meta(ge=1, le=PAGE_ORDERS_MAX, description="orders on a page")] = (
        PAGE_ORDERS
    )
    cursor: Annotated[str, Meta(description="`next_cursor` of the previous page")] | None = None


class StockedProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product on sale and its stock. `on_hand` includes `reserved`; `sold` has left the lab."""

    id: ProductId
    name: str
    paper: str
    price_minor: int
    currency: str
    on_hand: int
    reserved: int
    sold: int


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    products: list[StockedProduct]


LIST_LAB_ORDERS = Operation(
    summary="List the orders of all customers",
    access=Access.ADMINISTRATOR,
    parameters=LabOrderParameters,
    answers={200: Answer("A page of orders", LabOrders)},
)
LIST_STOCK = Operation(
    summary="List products and their stock",
    access=Access.ADMINISTRATOR,
    answers={200: Answer("All products on sale", Stock)},
)
