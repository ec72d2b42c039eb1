"""Products and their stock, from a file of an operator's."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from services.orders.model import Product
from services.orders.store import Orders
from services.platform.database import Database
from services.platform.errors import ConfigurationError

_DELIVERED = "delivered"
_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "name": (str,),
    "paper": (str,),
    "width_mm": (int, float),
    "height_mm": (int, float),
    "price_minor": (int,),
    "currency": (str,),
    _DELIVERED: (int,),
}


def load(path: Path) -> list[tuple[Product, int]]:
    """The products in a YAML list, each with how many prints of it were delivered.

    Raises ConfigurationError with every mistake in the file.
    """
    try:
        items = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [f"expected a YAML list: {error}"]) from None
    mistakes = []
    if not isinstance(items, list):
        items, mistakes = [], [f"expected a list of products, got {type(items).__name__}"]
    for number, item in enumerate(items):
        mistakes += [f"[{number}] {mistake}" for mistake in _mistakes(item)]
    if mistakes:
        raise ConfigurationError(str(path), mistakes)
    wanted = {field.name for field in fields(Product)}
    return [
        (Product(**{k: v for k, v in item.items() if k in wanted}), item.get(_DELIVERED, 0))
        for item in items
    ]


def offer(database: Database, path: Path) -> list[Product]:
    """Sells the products in `path` from now on, and adds what was delivered to their stock."""
    loaded = load(path)
    orders = Orders(database)
    for product, delivered in loaded:
        orders.offer(product, delivered)
    return [product for product, _ in loaded]


def _mistakes(item: Any) -> list[str]:
    if not isinstance(item, dict):
        return [f"must be a mapping, got {item!r}"]
    missing = _TYPES.keys() - item.keys() - {_DELIVERED}
    unknown = item.keys() - _TYPES.keys()
    wrong = [
        name
        for name, types in _TYPES.items()
        if name in item and (type(item[name]) not in types or item[name] in (0, ""))
    ]
    return (
        [f"{name} is missing" for name in sorted(missing)]
        + [f"{name} is not a known field" for name in sorted(unknown)]
        + [f"{name} cannot be {item[name]!r}" for name in wrong if name != _DELIVERED]
    )
