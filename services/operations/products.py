"""Products and their stock, from a file of an operator's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

from services.orders.api import ProductId, Text
from services.orders.model import TOTAL_MINOR_MAX, Product
from services.orders.products import Products
from services.platform.database import Database
from services.platform.errors import ConfigurationError
from services.platform.validation import END, InvalidInputError, convert

# What the database takes, and more prints than a lab can hold.
DELIVERED_MAX = 1_000_000
_Millimetres = Annotated[float, Meta(ge=20, le=900)]


class _Offer(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An item of the file: the print, and how many were delivered."""

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


def load(path: Path) -> list[tuple[Product, int]]:
    """The products in a YAML list, each with how many prints of it were delivered.

    Raises ConfigurationError with every mistake in the file.
    """
    try:
        items = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [f"expected a YAML list: {error}"]) from None
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
        raise ConfigurationError(str(path), mistakes)
    return [(_product(offer), offer.delivered) for offer in offers]


def offer(database: Database, path: Path) -> list[Product]:
    """Sells the products in `path` from now on, and adds what was delivered to their stock: of all
    of them or, when that fails, of none."""
    loaded = load(path)
    Products(database).offer_all(loaded)
    return [product for product, _ in loaded]


def _offer(item: Any) -> _Offer:
    """Raises TypeError for what has no named fields, and InvalidInputError."""
    if not isinstance(item, dict) or not all(isinstance(name, str) for name in item):
        raise TypeError(f"expected a mapping of names to values, got {str(item)[:80]!r}")
    return convert(item, _Offer)


def _product(offer: _Offer) -> Product:
    values = msgspec.structs.asdict(offer)
    del values["delivered"]
    return Product(**values)
