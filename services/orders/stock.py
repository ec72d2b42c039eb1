"""Reserves stock for an order, then releases it or uses it up.

Each function runs inside the caller's transaction, so that an order's status and its stock change
together. A repetition changes nothing. Rows of `stock` are locked in the order of their product
ids, so that two orders never deadlock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.orders.model import OutOfStock, StockNotReserved

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_LOCK = """
    SELECT s.product_id, r.quantity, r.state
    FROM reservations r JOIN stock s USING (product_id)
    WHERE r.order_id = %s ORDER BY s.product_id FOR NO KEY UPDATE OF s, r
"""


def reserve(cursor: Cursor, order_id: str) -> None:
    """Reserves the stock of all the order's lines, or raises OutOfStock and reserves nothing."""
    cursor.execute("SELECT 1 FROM reservations WHERE order_id = %s LIMIT 1", [order_id])
    if cursor.fetchone():
        return
    cursor.execute(
        "SELECT product_id, sum(quantity)::integer FROM order_lines WHERE order_id = %s "
        "GROUP BY product_id",
        [order_id],
    )
    wanted: dict[str, int] = dict(cursor.fetchall())
    cursor.execute(
        "SELECT product_id, on_hand - reserved FROM stock WHERE product_id = ANY(%s) "
        "ORDER BY product_id FOR NO KEY UPDATE",
        [list(wanted)],
    )
    available: dict[str, int] = dict(cursor.fetchall())
    missing = {
        product: (quantity, available.get(product, 0))
        for product, quantity in wanted.items()
        if quantity > available.get(product, 0)
    }
    if missing:
        raise OutOfStock(order_id, missing)
    cursor.execute(
        """
        WITH held AS (
            INSERT INTO reservations (order_id, product_id, quantity, state)
            SELECT %(order)s, w.product_id, w.quantity, 'reserved'
            FROM unnest(%(products)s::text[], %(quantities)s::integer[]) w (product_id, quantity)
            RETURNING product_id, quantity
        )
        UPDATE stock s SET reserved = s.reserved + held.quantity
        FROM held WHERE s.product_id = held.product_id
        """,
        {"order": order_id, "products": list(wanted), "quantities": list(wanted.values())},
    )


def release(cursor: Cursor, order_id: str) -> None:
    """Releases the stock that is reserved for the order; used stock stays used."""
    cursor.execute(_LOCK, [order_id])
    cursor.execute(
        """
        WITH released AS (
            UPDATE reservations SET state = 'released' WHERE order_id = %s AND state = 'reserved'
            RETURNING product_id, quantity
        )
        UPDATE stock s SET reserved = s.reserved - r.quantity
        FROM released r WHERE s.product_id = r.product_id
        """,
        [order_id],
    )


def consume(cursor: Cursor, order_id: str) -> None:
    """Turns the order's reserved stock into sold stock. Raises StockNotReserved when none is
    reserved or it was released."""
    cursor.execute(_LOCK, [order_id])
    states = {state for _, _, state in cursor.fetchall()}
    if states == {"sold"}:
        return
    if states != {"reserved"}:
        raise StockNotReserved(
            f"the stock of order {order_id} is not reserved but "
            f"{' and '.join(sorted(states)) or 'missing'}"
        )
    cursor.execute(
        """
        WITH used AS (
            UPDATE reservations SET state = 'sold' WHERE order_id = %s
            RETURNING product_id, quantity
        )
        UPDATE stock s SET on_hand = s.on_hand - u.quantity, reserved = s.reserved - u.quantity,
            sold = s.sold + u.quantity
        FROM used u WHERE s.product_id = u.product_id
        """,
        [order_id],
    )
