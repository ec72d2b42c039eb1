"""Maps rows of `orders` and `order_lines` to orders."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from services.orders.model import Delivery, Line, Order, OrderStatus, Orientation

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_ORDER_COLUMNS = (
    "id, user_id, recipient, status, currency, total_minor, payment_method, delivery, created_at, "
    "updated_at, started_at, settled_at, refund_id"
)
LINE_COLUMNS = (
    "order_id, number, product_id, product_name, paper, width_mm, height_mm, unit_price_minor, "
    "image_id, quantity, focus_x, focus_y, orientation"
)


def is_order_id(order_id: str) -> bool:
    """Whether Postgres accepts the text as an order's id. Events and tasks may hold any text."""
    try:
        return str(uuid.UUID(order_id)) == order_id
    except (ValueError, AttributeError):
        return False


def read_order(cursor: Cursor, where: str, values: Sequence[Any]) -> Order:
    """The one order that matches `where`, with its lines."""
    (order,) = read_orders(cursor, where, values)
    return order


def read_orders(cursor: Cursor, where: str, values: Sequence[Any], tail: str = "") -> list[Order]:
    """The orders that match `where`, each with its lines, in two queries.

    `where` and `tail` are constant SQL; values go through placeholders.
    """
    cursor.execute(f"SELECT {_ORDER_COLUMNS} FROM orders WHERE {where} {tail}", values)  # noqa: S608
    rows = cursor.fetchall()
    lines: dict[str, list[Line]] = {str(row[0]): [] for row in rows}
    if rows:
        cursor.execute(
            f"SELECT {LINE_COLUMNS} FROM order_lines "  # noqa: S608  constants
            "WHERE order_id = ANY(%s::uuid[]) ORDER BY number",
            [list(lines)],
        )
        for row in cursor.fetchall():
            lines[str(row[0])].append(_line(row))
    return [_order(row, lines[str(row[0])]) for row in rows]


def _order(row: Any, lines: Iterable[Line]) -> Order:
    return Order(
        id=str(row[0]),
        user_id=str(row[1]),
        recipient=row[2],
        status=OrderStatus(row[3]),
        currency=row[4],
        total_minor=row[5],
        payment_method=row[6],
        delivery=Delivery(**row[7]),
        lines=tuple(lines),
        created_at=row[8],
        updated_at=row[9],
        started_at=row[10],
        settled_at=row[11],
        refund_id=row[12],
    )


def _line(row: Any) -> Line:
    return Line(
        number=row[1],
        product_id=row[2],
        product_name=row[3],
        paper=row[4],
        width_mm=float(row[5]),
        height_mm=float(row[6]),
        unit_price_minor=row[7],
        image_id=row[8],
        quantity=row[9],
        focus=None if row[10] is None else (row[10], row[11]),
        orientation=Orientation(row[12]),
    )
