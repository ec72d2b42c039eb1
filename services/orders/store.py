"""Orders, in Postgres. A row of `orders` is locked by whoever moves it, so that of two who want it
to go two ways, one finds it gone the other; its stock moves in the same transaction.

Every method may raise TransientError. All that change something may be repeated.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.orders import stock
from services.orders.model import (
    TOTAL_MINOR_MAX,
    TRANSITIONS,
    Delivery,
    IllegalTransition,
    KeyReused,
    Line,
    MixedCurrencies,
    NewOrder,
    Order,
    OrderNotFound,
    OrderStatus,
    OrderUnderWay,
    Orientation,
    Product,
    StockLevel,
    TotalTooHigh,
    Transition,
    UnknownProducts,
)
from services.platform.database import Database

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_ORDER = (
    "id, user_id, recipient, status, currency, total_minor, payment_method, delivery, created_at, "
    "updated_at, started_at, settled_at, refund_id"
)
_LINE = (
    "order_id, number, product_id, product_name, paper, width_mm, height_mm, unit_price_minor, "
    "image_id, quantity, focus_x, focus_y, orientation"
)
_OPEN = [status.value for status in OrderStatus if OrderStatus.FAILED in TRANSITIONS[status]]
_UNFULFILLED_TERMINAL = [status.value for status in OrderStatus if status.is_unfulfilled_terminal]


@dataclass(frozen=True)
class Position:
    """A place in a customer's orders by time: that of the order last seen."""

    created_at: datetime
    order_id: str


@dataclass(frozen=True)
class Orders:
    """Reads and writes orders, their lines, history and stock."""

    database: Database

    # -- making

    def create(self, new: NewOrder) -> Order:
        """A new order, in one transaction with its lines and the first step of its history; the
        order that there is, when the customer's key was used before.

        Raises UnknownProducts, MixedCurrencies, TotalTooHigh, and KeyReused when the key was used
        for another order.
        """
        digest = _digest(new)
        with self.database.transaction() as cursor:
            # Looked for first: what it cost then counts, and what is sold may have changed since.
            if (found := _of_key(cursor, new, digest)) is not None:
                return found
            products = _products(cursor, {line.product_id for line in new.lines})
            order_id = str(uuid.uuid4())
            currency, total_minor = _total(new, products)
            cursor.execute(
                "INSERT INTO orders (id, user_id, recipient, status, currency, total_minor, "
                "payment_method, delivery, idempotency_key, request_hash) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (user_id, idempotency_key) DO NOTHING",
                [
                    order_id,
                    new.user_id,
                    new.recipient,
                    OrderStatus.CREATED.value,
                    currency,
                    total_minor,
                    new.payment_method,
                    json.dumps(dataclasses.asdict(new.delivery)),
                    new.idempotency_key,
                    digest,
                ],
            )
            # Another request with the key was faster, by a moment; its order is there now.
            if not cursor.rowcount and (found := _of_key(cursor, new, digest)) is not None:
                return found
            for number, line in enumerate(new.lines, start=1):
                product = products[line.product_id]
                x, y = line.focus or (None, None)
                cursor.execute(
                    f"INSERT INTO order_lines ({_LINE}) VALUES "  # noqa: S608  constants
                    "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    [
                        order_id,
                        number,
                        product.id,
                        product.name,
                        product.paper,
                        product.width_mm,
                        product.height_mm,
                        product.price_minor,
                        line.image_id,
                        line.quantity,
                        x,
                        y,
                        line.orientation.value,
                    ],
                )
            _add_transition(cursor, order_id, None, OrderStatus.CREATED, "", {})
            return _one(cursor, "id = %s", [order_id])

    def mark_started(self, order_id: str) -> None:
        """Notes that the order's workflow runs and that order.created is published."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE orders SET started_at = coalesce(started_at, now()) WHERE id = %s",
                [order_id],
            )

    # -- reading

    def products(self) -> tuple[Product, ...]:
        """What is sold now, with what is left of it."""
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

    def get(self, order_id: str) -> Order | None:
        """Anybody's order."""
        if not _is_id(order_id):
            return None
        with self.database.transaction() as cursor:
            return next(iter(_orders(cursor, "id = %s", [order_id])), None)

    def of_user(self, user_id: str, order_id: str) -> Order | None:
        """The order, if it is this user's."""
        if not _is_id(order_id):
            return None
        with self.database.transaction() as cursor:
            found = _orders(cursor, "id = %s AND user_id = %s", [order_id, user_id])
            return next(iter(found), None)

    def page(self, user_id: str, limit: int, before: Position | None = None) -> tuple[Order, ...]:
        """At most `limit` of the user's orders, the newest first."""
        where, values = "user_id = %s", [user_id]
        if before is not None:
            where += " AND (created_at, id) < (%s, %s)"
            values += [before.created_at, before.order_id]  # type: ignore[list-item]
        with self.database.transaction() as cursor:
            return tuple(
                _orders(cursor, where, values, f"ORDER BY created_at DESC, id DESC LIMIT {limit:d}")
            )

    def transitions(self, order_id: str) -> tuple[Transition, ...]:
        """The order's history, the oldest first."""
        if not _is_id(order_id):
            return ()
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT number, from_status, to_status, at, cause, detail FROM order_transitions "
                "WHERE order_id = %s ORDER BY number",
                [order_id],
            )
            return tuple(
                Transition(
                    number, OrderStatus(left) if left else None, OrderStatus(to), at, cause, detail
                )
                for number, left, to, at, cause, detail in cursor.fetchall()
            )

    # -- moving

    def advance(
        self,
        order_id: str,
        to: OrderStatus,
        cause: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> Order:
        """Takes the order to `to`, and its stock along: `reserved` reserves it, `fulfilled` uses it
        up, an end without prints gives it back.

        A repetition changes nothing, also when the order has gone on since: look at the status of
        the answer where that matters. `detail` (anything JSON can hold) is kept in the history;
        of it, `warnings` (a list of texts) is shown to the customer.

        Raises IllegalTransition, OrderNotFound, OutOfStock and StockNotReserved; then nothing has
        changed.
        """
        with self.database.transaction() as cursor:
            current = _lock(cursor, order_id)
            if current is not to and to in TRANSITIONS[current]:
                _enter(cursor, order_id, current, to, cause, detail or {})
            elif not _was(cursor, order_id, to):
                raise IllegalTransition(order_id, current, to)
            return _one(cursor, "id = %s", [order_id])

    def release_stock(self, order_id: str) -> None:
        """Gives back what the order holds. An end without prints has done that already.

        Raises OrderUnderWay for an order without such an end, and OrderNotFound.
        """
        with self.database.transaction() as cursor:
            current = _lock(cursor, order_id)
            if not current.is_unfulfilled_terminal:
                raise OrderUnderWay(
                    f"order {order_id} is {current}: expected one that ended without prints"
                )
            stock.release(cursor, order_id)

    def settle(self, order_id: str, refund_id: str | None) -> Order:
        """Notes of an order that ended badly that no money of it is kept."""
        with self.database.transaction() as cursor:
            _lock(cursor, order_id)
            cursor.execute(
                "UPDATE orders SET settled_at = coalesce(settled_at, now()), "
                "refund_id = coalesce(refund_id, %s) WHERE id = %s AND status = ANY(%s)",
                [refund_id, order_id, _UNFULFILLED_TERMINAL],
            )
            return _one(cursor, "id = %s", [order_id])

    # -- what operators do and ask

    def offer(self, product: Product, delivered: int = 0) -> None:
        """Sells `product` from now on, as it is given here, and adds what was `delivered` of it to
        the stock."""
        self.offer_all([(product, delivered)])

    def offer_all(self, offered: Sequence[tuple[Product, int]]) -> None:
        """As `offer` does, of every product or, when that fails, of none."""
        with self.database.transaction() as cursor:
            # In the order of stock.py's, and not of whoever wrote the list.
            cursor.execute(
                "SELECT 1 FROM stock WHERE product_id = ANY(%s) ORDER BY product_id "
                "FOR NO KEY UPDATE",
                [[product.id for product, _ in offered]],
            )
            for product, delivered in offered:
                _offer(cursor, product, delivered)

    def unstarted(self, before: datetime, limit: int = 100) -> tuple[Order, ...]:
        """Orders made before then whose start was cut off, the oldest first."""
        return self._waiting("started_at IS NULL AND created_at < %s", [before], limit)

    def open(self, before: datetime, limit: int = 100) -> tuple[Order, ...]:
        """Orders on their way that have not moved since then."""
        return self._waiting("status = ANY(%s) AND updated_at < %s", [_OPEN, before], limit)

    def unsettled(self, before: datetime, limit: int = 100) -> tuple[Order, ...]:
        """Orders that ended badly before then, of which money may still be kept."""
        return self._waiting(
            "settled_at IS NULL AND status = ANY(%s) AND updated_at < %s",
            [_UNFULFILLED_TERMINAL, before],
            limit,
        )

    def books(self) -> Mapping[str, StockLevel]:
        """The stock of every product."""
        with self.database.transaction() as cursor:
            cursor.execute("SELECT product_id, on_hand, reserved, sold FROM stock")
            return {product: StockLevel(*levels) for product, *levels in cursor.fetchall()}

    def _waiting(self, where: str, values: Sequence[Any], limit: int) -> tuple[Order, ...]:
        with self.database.transaction() as cursor:
            return tuple(_orders(cursor, where, values, f"ORDER BY updated_at LIMIT {limit:d}"))


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


def _is_id(order_id: str) -> bool:
    """Whether Postgres would take it for an order's id: events and tasks may hold anything."""
    try:
        return str(uuid.UUID(order_id)) == order_id
    except (ValueError, AttributeError):
        return False


def _lock(cursor: Cursor, order_id: str) -> OrderStatus:
    row = None
    if _is_id(order_id):
        cursor.execute("SELECT status FROM orders WHERE id = %s FOR NO KEY UPDATE", [order_id])
        row = cursor.fetchone()
    if row is None:
        raise OrderNotFound(f"expected an order, got {order_id}, which is none")
    return OrderStatus(row[0])


def _enter(
    cursor: Cursor,
    order_id: str,
    current: OrderStatus,
    to: OrderStatus,
    cause: str,
    detail: Mapping[str, Any],
) -> None:
    if to is OrderStatus.RESERVED:
        stock.reserve(cursor, order_id)
    elif to is OrderStatus.FULFILLED:
        stock.consume(cursor, order_id)
    elif to.is_unfulfilled_terminal:
        stock.release(cursor, order_id)
    cursor.execute(
        "UPDATE orders SET status = %s, updated_at = clock_timestamp() WHERE id = %s",
        [to.value, order_id],
    )
    _add_transition(cursor, order_id, current, to, cause, detail)


def _add_transition(
    cursor: Cursor,
    order_id: str,
    current: OrderStatus | None,
    to: OrderStatus,
    cause: str,
    detail: Mapping[str, Any],
) -> None:
    cursor.execute(
        "INSERT INTO order_transitions "
        "(order_id, number, from_status, to_status, cause, detail) "
        "SELECT %(order)s, count(*) + 1, %(from)s, %(to)s, %(cause)s, %(detail)s "
        "FROM order_transitions WHERE order_id = %(order)s",
        {
            "order": order_id,
            "from": current.value if current else None,
            "to": to.value,
            "cause": cause,
            "detail": json.dumps(dict(detail)),
        },
    )


def _was(cursor: Cursor, order_id: str, status: OrderStatus) -> bool:
    cursor.execute(
        "SELECT 1 FROM order_transitions WHERE order_id = %s AND to_status = %s",
        [order_id, status.value],
    )
    return cursor.fetchone() is not None


def _of_key(cursor: Cursor, new: NewOrder, digest: str) -> Order | None:
    if new.idempotency_key is None:
        return None
    where, values = "user_id = %s AND idempotency_key = %s", [new.user_id, new.idempotency_key]
    cursor.execute(f"SELECT request_hash FROM orders WHERE {where}", values)  # noqa: S608
    row = cursor.fetchone()
    if row is None:
        return None
    if row[0] != digest:
        raise KeyReused(
            "the idempotency key was used for another order; expected the same order, or a new key"
        )
    return _one(cursor, where, values)


def _digest(new: NewOrder) -> str:
    """What makes two requests the same order: all but who is told, which may change."""
    facts = dataclasses.asdict(new)
    del facts["recipient"], facts["idempotency_key"]
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _total(new: NewOrder, products: Mapping[str, Product]) -> tuple[str, int]:
    """Currency and sum of the order. Raises MixedCurrencies and TotalTooHigh."""
    currencies = frozenset(product.currency for product in products.values())
    if len(currencies) != 1:
        raise MixedCurrencies(currencies)
    total_minor = sum(products[line.product_id].price_minor * line.quantity for line in new.lines)
    if total_minor > TOTAL_MINOR_MAX:
        raise TotalTooHigh(total_minor)
    return next(iter(currencies)), total_minor


def _products(cursor: Cursor, ids: Iterable[str]) -> dict[str, Product]:
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


def _one(cursor: Cursor, where: str, values: Sequence[Any]) -> Order:
    (order,) = _orders(cursor, where, values)
    return order


def _orders(cursor: Cursor, where: str, values: Sequence[Any], tail: str = "") -> list[Order]:
    """The orders that `where` tells, each with its lines, in two statements."""
    cursor.execute(f"SELECT {_ORDER} FROM orders WHERE {where} {tail}", values)  # noqa: S608
    rows = cursor.fetchall()
    lines: dict[str, list[Line]] = {str(row[0]): [] for row in rows}
    if rows:
        cursor.execute(
            f"SELECT {_LINE} FROM order_lines "  # noqa: S608  constants
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
