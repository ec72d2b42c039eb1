"""Products and their stock, from a file of an operator's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from services.administration.offers import read_offers
from services.orders.model import Product
from services.orders.products import Products
from services.platform.database import Database
from services.platform.errors import ConfigurationError
from services.platform.yaml_reader import parse_yaml


def read_items(path: Path) -> Any:
    """What the YAML file holds. Raises ConfigurationError for a file that cannot be read."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [f"expected a YAML list: {error}"]) from None


def load(path: Path) -> list[tuple[Product, int]]:
    """The products of the file, each with how many prints of it were delivered. Raises
    ConfigurationError with every mistake."""
    return read_offers(read_items(path), str(path))


def offer(database: Database, path: Path) -> list[Product]:
    """Sells the products in `path` from now on, and adds what was delivered to their stock: of all
    of them or, when that fails, of none. Raises ConfigurationError with every mistake in the file.
    """
    loaded = load(path)
    Products(database).offer_all(loaded)
    return [product for product, _ in loaded]
