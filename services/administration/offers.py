"""Products that an operator offers, with what was delivered of each."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.orders.api import ProductId, Text
from services.orders.model import TOTAL_MINOR_MAX, Product
from services.platform.errors import ConfigurationError
from services.platform.validation import END, InvalidInputError, convert

# What the database takes, and more prints than a lab can hold.
DELIVERED_MAX = 1_000_000
_Millimetres = Annotated[float, Meta(ge=20, le=900)]


class _Offer(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A product, and how many prints of it were delivered."""

    id: ProductId
    name: Text
    paper: Text
    width_mm: _Millimetres
    height_mm: _Millimetres
    price_minor: Annotated[int, Meta(ge=1, le=TOTAL_MINOR_MAX)]
    currency: Annotated[
        str,
        Meta(pattern=f"^[A-Z]{{3}}{END}", description="a currency's three letters (ISO 4217)"),
    ]
    delivered: Annotated[int, Meta(ge=0, le=DELIVERED_MAX)] = 0


def read_offers(items: Any, source: str) -> list[tuple[Product, int]]:
    """The products of a decoded list, each with how many prints of it were delivered.

    Raises ConfigurationError with every mistake; `source` names the list, such as its file.
    """
    mistakes = []
    if not isinstance(items, list):
        items, mistakes = [], [f"expected a list of products, got {type(items).__name__}"]
    offers = []
    for number, item in enumerate(items):
        try:
            offers.append(_offer(item))
        except InvalidInputError as error:
            mistakes += [
                f"[{number}] {e.field}: expected {e.expected}, got {e.got}" for e in error.errors
            ]
        except TypeError as error:
            mistakes.append(f"[{number}] {error}")
    again = [name for name, times in Counter(offer.id for offer in offers).items() if times > 1]
    mistakes += [f"expected every product once, got {name} again" for name in again]
    if mistakes:
        raise ConfigurationError(source, mistakes)
    return [(_product(offer), offer.delivered) for offer in offers]


def _offer(item: Any) -> _Offer:
    """Raises TypeError for what has no named fields, and InvalidInputError."""
    if not isinstance(item, dict) or not all(isinstance(name, str) for name in item):
        raise TypeError(f"expected a mapping of names to values, got {str(item)[:80]!r}")
    return convert(item, _Offer)


def _product(offer: _Offer) -> Product:
    values = msgspec.structs.asdict(offer)
    del values["delivered"]
    return Product(**values)
