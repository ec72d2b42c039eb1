"""Orders: values, statuses and the legal transitions between them.

    created -> validated -> reserved -> paid -> fulfilled -> shipped
       |           |            |         |
       rejected    out_of_stock payment_declined        (and from all four: cancelled, failed)

`fulfilled`: the print files are ready. `shipped`: the customer was notified of the shipment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.platform.errors import PermanentError

# Stripe accepts amounts of at most eight digits:
# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
TOTAL_MINOR_MAX = 99_999_999


class OrderStatus(StrEnum):
    CREATED = "created"
    VALIDATED = "validated"
    RESERVED = "reserved"
    PAID = "paid"
    FULFILLED = "fulfilled"
    SHIPPED = "shipped"
    REJECTED = "rejected"
    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_DECLINED = "payment_declined"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether no transition leads out of it."""
        return not TRANSITIONS[self]

    @property
    def is_unfulfilled_terminal(self) -> bool:
        """Whether it ends an order without prints, so that stock is released and money refunded."""
        return self.ended and self is not OrderStatus.SHIPPED


_S = OrderStatus
_ABANDONED = frozenset({_S.CANCELLED, _S.FAILED})
# There is no cycle, so an order enters each status at most once.
TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _S.CREATED: frozenset({_S.VALIDATED, _S.REJECTED}) | _ABANDONED,
    _S.VALIDATED: frozenset({_S.RESERVED, _S.OUT_OF_STOCK}) | _ABANDONED,
    _S.RESERVED: frozenset({_S.PAID, _S.PAYMENT_DECLINED}) | _ABANDONED,
    _S.PAID: frozenset({_S.FULFILLED}) | _ABANDONED,
    _S.FULFILLED: frozenset({_S.SHIPPED}),
    _S.SHIPPED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.OUT_OF_STOCK: frozenset(),
    _S.PAYMENT_DECLINED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.FAILED: frozenset(),
}


class FindingCode(StrEnum):
    """What is wrong with a line of an order, for programs. All but RESOLUTION_LOW, a warning, end
    the order."""

    PHOTO_NOT_FOUND = "photo-not-found"
    PHOTO_REJECTED = "photo-rejected"
    RESOLUTION_TOO_LOW = "resolution-too-low"
    RESOLUTION_LOW = "resolution-low"
    OUT_OF_STOCK = "out-of-stock"


class OrderNotFound(PermanentError):  # noqa: N818  the state machine catches errors by class name
    """No order has this id."""


class IllegalTransition(PermanentError):  # noqa: N818
    """The order's status does not allow the transition."""

    def __init__(self, order_id: str, current: OrderStatus, to: OrderStatus) -> None:
        self.current, self.to = current, to
        legal = ", ".join(sorted(TRANSITIONS[current]))
        allowed = f", only {legal}" if legal else ": no status follows"
        super().__init__(f"order {order_id} is {current} and cannot become {to}{allowed}")


class OrderRejected(PermanentError):  # noqa: N818
    """The order cannot be printed. Customers read the message."""


class OutOfStock(PermanentError):  # noqa: N818
    """Less paper is available than was ordered. `missing`: product id to (wanted, available)."""

    def __init__(self, order_id: str, missing: Mapping[str, tuple[int, int]]) -> None:
        self.missing = dict(missing)
        products = ", ".join(
            f"{product} ({wanted} wanted, {available} available)"
            for product, (wanted, available) in sorted(missing.items())
        )
        super().__init__(f"not enough stock for order {order_id}: {products}")


class StockNotReserved(PermanentError):  # noqa: N818
    """The order has no reserved stock to use up."""


class OrderUnderWay(PermanentError):  # noqa: N818
    """Stock of an active order cannot be released."""


class UnknownProducts(PermanentError):  # noqa: N818
    """Some ordered products are not on sale; `ids` names them."""

    def __init__(self, ids: frozenset[str]) -> None:
        self.ids = ids
        super().__init__(f"products not on sale: {', '.join(sorted(ids))}")


class MixedCurrencies(PermanentError):  # noqa: N818
    """The ordered products are priced in different currencies."""

    def __init__(self, currencies: frozenset[str]) -> None:
        self.currencies = currencies
        super().__init__(f"prices in several currencies: {', '.join(sorted(currencies))}")


class TotalTooHigh(PermanentError):  # noqa: N818
    """The order costs more than one payment can charge."""

    def __init__(self, total_minor: int) -> None:
        self.total_minor = total_minor
        super().__init__(f"total of {total_minor} (minor unit) exceeds {TOTAL_MINOR_MAX}")


class OrderLimitReached(PermanentError):  # noqa: N818
    """The account used up its orders or its declined payments. `limit` says which in words."""

    def __init__(self, limit: str, retry_after_seconds: float) -> None:
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"the limit of {limit} is reached")


class KeyReused(PermanentError):  # noqa: N818
    """The customer used the idempotency key before, for another order."""


class Orientation(StrEnum):
    """The orientation of a print; the values of PrintOrientation in services.imaging."""

    FOLLOWS_PHOTO = "follows-photo"
    PORTRAIT = "portrait"
    LANDSCAPE = "landscape"


@dataclass(frozen=True)
class Product:
    """A print on sale. Sizes in mm, the price in the currency's minor unit (cents); `available` is
    the number of prints that can be reserved now."""

    id: str
    name: str
    paper: str
    width_mm: float
    height_mm: float
    price_minor: int
    currency: str
    available: int = 0


@dataclass(frozen=True)
class NewLine:
    """A line of a new order. `focus` is the point that the print must show, in fractions 0..1 of
    the upright photo from its left and its top; None: the most salient part."""

    product_id: str
    image_id: str
    quantity: int
    focus: tuple[float, float] | None = None
    orientation: Orientation = Orientation.FOLLOWS_PHOTO


@dataclass(frozen=True)
class Line:
    """A line of an order, with a copy of the product as it was ordered. `number` counts from 1;
    sizes in mm, price of one print in the minor unit."""

    number: int
    product_id: str
    product_name: str
    paper: str
    width_mm: float
    height_mm: float
    unit_price_minor: int
    image_id: str
    quantity: int
    focus: tuple[float, float] | None
    orientation: Orientation


@dataclass(frozen=True)
class Delivery:
    """The delivery address. `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    postcode: str
    city: str
    country: str
    line2: str | None = None


@dataclass(frozen=True)
class NewOrder:
    """An order to create. `recipient` is the customer's e-mail address, `payment_method` the
    provider's id of it. The same `idempotency_key` of the same user returns the same order."""

    user_id: str
    recipient: str
    lines: tuple[NewLine, ...]
    payment_method: str
    delivery: Delivery
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Order:
    """A stored order. Money in the minor unit of `currency`.

    `started_at`: when its workflow was started and order.created published. `settled_at`: when it
    became certain that an order without prints costs the customer nothing; `refund_id` is the
    provider's id of the refund, if the order was charged.
    """

    id: str
    user_id: str
    recipient: str
    status: OrderStatus
    currency: str
    total_minor: int
    payment_method: str
    delivery: Delivery
    lines: tuple[Line, ...]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    settled_at: datetime | None = None
    refund_id: str | None = None


@dataclass(frozen=True)
class Transition:
    """One entry of an order's append-only history. `number` counts from 1; `came_from` is None for
    the first. Customers read `cause`; `detail` holds facts for programs, of which customers get
    `warnings` and `findings`."""

    number: int
    came_from: OrderStatus | None
    to: OrderStatus
    at: datetime
    cause: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StockLevel:
    """The stock of one product. `on_hand` includes `reserved`; `sold` has left the lab."""

    on_hand: int
    reserved: int
    sold: int

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved
