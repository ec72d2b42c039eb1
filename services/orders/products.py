"""Products on sale and their stock levels, in Postgres.

Every method may raise TransientError. A repetition of `offer` adds to the stock again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.orders.model import Product, StockLevel, UnknownProducts
from services.platform.database import Database

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


@dataclass(frozen=True)
class Products:
    """Reads and writes the products that the lab sells."""

    database: Database

    def on_sale(self) -> tuple[Product, ...]:
        """The products on sale, by id, with the number of prints that can be reserved now."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT id, name, paper, width_mm, height_mm, price_minor, currency, "
                "coalesce(on_hand - reserved, 0) FROM products LEFT JOIN stock ON id = product_id "
                "WHERE sold_now ORDER BY id"
            )
            return tuple(
                Product(id_, name, paper, float(width), float(height), price, currency, available)
                for id_, name, paper, width, height, price, currency, available in cursor.fetchall()
            )

    def stock_levels(self) -> Mapping[str, StockLevel]:
        """Product id to its stock. `on_hand + sold` is the sum of all deliveries."""
        with self.database.transaction() as cursor:
            cursor.execute("SELECT product_id, on_hand, reserved, sold FROM stock")
            return {product: StockLevel(*levels) for product, *levels in cursor.fetchall()}

    def offer(self, product: Product, delivered: int = 0) -> None:
        """Puts `product` on sale, or changes it, and adds `delivered` prints to its stock."""
        self.offer_all([(product, delivered)])

    def offer_all(self, offered: Sequence[tuple[Product, int]]) -> None:
        """As `offer`, for all products or, if that fails, for none."""
        with self.database.transaction() as cursor:
            # In the lock order of stock.py, whatever the order of the list is.
            cursor.execute(
                "SELECT 1 FROM stock WHERE product_id = ANY(%s) ORDER BY product_id "
                "FOR NO KEY UPDATE",
                [[product.id for product, _ in offered]],
            )
            for product, delivered in offered:
                _offer(cursor, product, delivered)


def read_products(cursor: Cursor, ids: Iterable[str]) -> dict[str, Product]:
    """Product id to product, without stock. Raises UnknownProducts for those not on sale."""
    wanted = frozenset(ids)
    cursor.execute(
        "SELECT id, name, paper, width_mm, height_mm, price_minor, currency FROM products "
        "WHERE id = ANY(%s) AND sold_now",
        [sorted(wanted)],
    )
    found = {
        row[0]: Product(row[0], row[1], row[2], float(row[3]), float(row[4]), row[5], row[6])
        for row in cursor.fetchall()
    }
    if unknown := wanted - found.keys():
        raise UnknownProducts(unknown)
    return found


def _offer(cursor: Cursor, product: Product, delivered: int) -> None:
    cursor.execute(
        "INSERT INTO products "
        "(id, name, paper, width_mm, height_mm, price_minor, currency) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE SET "
        "(name, paper, width_mm, height_mm, price_minor, currency, sold_now) = "
        "(excluded.name, excluded.paper, excluded.width_mm, excluded.height_mm, "
        "excluded.price_minor, excluded.currency, true)",
        [
            product.id,
            product.name,
            product.paper,
            product.width_mm,
            product.height_mm,
            product.price_minor,
            product.currency,
        ],
    )
    cursor.execute(
        "INSERT INTO stock (product_id, on_hand) VALUES (%s, %s) ON CONFLICT (product_id) "
        "DO UPDATE SET on_hand = stock.on_hand + excluded.on_hand",
        [product.id, delivered],
    )
