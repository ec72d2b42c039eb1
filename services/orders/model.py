"""What an order is, and which way it may go.

    created -> validated -> reserved -> paid -> fulfilled -> shipped
       |           |            |         |
       rejected    out_of_stock payment_declined        (and from all four: cancelled, failed)

`fulfilled` says that the print files lie ready, `shipped` that the customer was told so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.platform.errors import PermanentError

# Stripe charges eight digits at most:
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
        """Whether nothing comes after it."""
        return not LEGAL[self]

    @property
    def ended_badly(self) -> bool:
        """Whether it ends an order that nothing is printed of: no stock and no money is kept."""
        return self.ended and self is not OrderStatus.SHIPPED


_S = OrderStatus
_GIVEN_UP = frozenset({_S.CANCELLED, _S.FAILED})
# Every way that there is. None leads back, so a status is entered once at most.
LEGAL: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _S.CREATED: frozenset({_S.VALIDATED, _S.REJECTED}) | _GIVEN_UP,
    _S.VALIDATED: frozenset({_S.RESERVED, _S.OUT_OF_STOCK}) | _GIVEN_UP,
    _S.RESERVED: frozenset({_S.PAID, _S.PAYMENT_DECLINED}) | _GIVEN_UP,
    _S.PAID: frozenset({_S.FULFILLED}) | _GIVEN_UP,
    _S.FULFILLED: frozenset({_S.SHIPPED}),
    _S.SHIPPED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.OUT_OF_STOCK: frozenset(),
    _S.PAYMENT_DECLINED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.FAILED: frozenset(),
}


class OrderNotFound(PermanentError):  # noqa: N818  its name is read by people, in a state machine
    """There is no such order."""


class IllegalTransition(PermanentError):  # noqa: N818
    """The order cannot go from where it is to where it was sent."""

    def __init__(self, order_id: str, current: OrderStatus, to: OrderStatus) -> None:
        self.current, self.to = current, to
        legal = ", ".join(sorted(LEGAL[current])) or "nothing"
        super().__init__(f"order {order_id} is {current}: expected {legal} to follow, got {to}")


class OrderRejected(PermanentError):  # noqa: N818
    """What was ordered cannot be printed; the message is for the customer."""


class OutOfStock(PermanentError):  # noqa: N818
    """There is less than was ordered. `missing`: product id to (wanted, available)."""

    def __init__(self, order_id: str, missing: Mapping[str, tuple[int, int]]) -> None:
        self.missing = dict(missing)
        said = ", ".join(f"{n} of {p} ({have} left)" for p, (n, have) in sorted(missing.items()))
        super().__init__(f"order {order_id}: expected stock for {said}")


class StockNotReserved(PermanentError):  # noqa: N818
    """Stock was to be used up that the order does not hold, or holds no longer."""


class OrderUnderWay(PermanentError):  # noqa: N818
    """What belongs to an order that goes on was to be taken from it."""


class UnknownProducts(PermanentError):  # noqa: N818
    """Products were ordered that are not sold. `ids` are theirs."""

    def __init__(self, ids: frozenset[str]) -> None:
        self.ids = ids
        super().__init__(f"expected products that are sold, got {', '.join(sorted(ids))}")


class MixedCurrencies(PermanentError):  # noqa: N818
    """Products were ordered together whose prices are in different currencies."""

    def __init__(self, currencies: frozenset[str]) -> None:
        self.currencies = currencies
        super().__init__(f"expected prices in one currency, got {' and '.join(sorted(currencies))}")


class TotalTooHigh(PermanentError):  # noqa: N818
    """The order costs more than can be charged at once."""

    def __init__(self, total_minor: int) -> None:
        self.total_minor = total_minor
        super().__init__(f"expected a total of at most {TOTAL_MINOR_MAX}, got {total_minor}")


class KeyReused(PermanentError):  # noqa: N818
    """The customer's idempotency key was used before, for another order."""


class Orientation(StrEnum):
    """Which way a print stands; the same values as services.imaging's PrintOrientation."""

    FOLLOWS_PHOTO = "follows-photo"
    PORTRAIT = "portrait"
    LANDSCAPE = "landscape"


@dataclass(frozen=True)
class Product:
    """A print that can be ordered. Sizes in mm, the price in the currency's minor unit (cents);
    `available` is how many could be reserved now."""

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
    """A line of an order that is to be made. `focus` is the point that must be in the print, in
    fractions 0..1 of the upright photo, from its left and its top; None: the most salient part."""

    product_id: str
    image_id: str
    quantity: int
    focus: tuple[float, float] | None = None
    orientation: Orientation = Orientation.FOLLOWS_PHOTO


@dataclass(frozen=True)
class Line:
    """A line of an order, with what its product was when it was ordered. `number` counts from 1;
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
    """Where the prints go. `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    postcode: str
    city: str
    country: str
    line2: str | None = None


@dataclass(frozen=True)
class NewOrder:
    """What a customer orders. `recipient` is the address to tell, `payment_method` the provider's
    name for it. The same `idempotency_key` of the same user gives the same order."""

    user_id: str
    recipient: str
    lines: tuple[NewLine, ...]
    payment_method: str
    delivery: Delivery
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Order:
    """An order as it stands. Money in the minor unit of `currency`.

    `started_at`: since when its workflow runs and order.created is published. `settled_at`: since
    when it is known, of an order that ended badly, that no money of it is kept; `refund_id` is the
    provider's, if there had been a charge.
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
    """One step in an order's history, which is only ever added to. `number` counts from 1 and
    `came_from` is None for the first; `cause` is a text for people, `detail` facts for programs."""

    number: int
    came_from: OrderStatus | None
    to: OrderStatus
    at: datetime
    cause: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StockLevel:
    """Of one product: `on_hand` are in the lab (the reserved among them), `sold` have left."""

    on_hand: int
    reserved: int
    sold: int

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


Books = Mapping[str, StockLevel]
"""Product id to its stock. on_hand + sold is what was ever put in."""
