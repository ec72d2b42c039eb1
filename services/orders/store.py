"""Orders in Postgres.

The row lock of an order serializes competing transitions. Its stock changes in the same
transaction.

Every method may raise TransientError. Every method that writes may be repeated.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.orders import stock
from services.orders.allowance import UNLIMITED, Allowance, check_allowance
from services.orders.model import (
    TOTAL_MINOR_MAX,
    TRANSITIONS,
    IllegalTransition,
    KeyReused,
    MixedCurrencies,
    NewOrder,
    Order,
    OrderNotFound,
    OrderStatus,
    OrderUnderWay,
    Product,
    TotalTooHigh,
    Transition,
)
from services.orders.products import read_products
from services.orders.rows import LINE_COLUMNS, is_order_id, read_order, read_orders
from services.platform.database import Database

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

_OPEN = [status.value for status in OrderStatus if OrderStatus.FAILED in TRANSITIONS[status]]
_UNFULFILLED_TERMINAL = [status.value for status in OrderStatus if status.is_unfulfilled_terminal]


@dataclass(frozen=True)
class Position:
    """A position in a customer's orders by time: that of the last order of the previous page."""

    created_at: datetime
    order_id: str


@dataclass(frozen=True)
class Orders:
    """Reads and writes orders, their lines and their history."""

    database: Database

    def create(self, new: NewOrder, allowance: Allowance = UNLIMITED) -> Order:
        """Stores a new order, its lines and the first entry of its history in one transaction. For
        an idempotency key that the customer used before, returns the order of that key.

        Raises UnknownProducts, MixedCurrencies, TotalTooHigh, OrderLimitReached when `allowance` is
        used up, and KeyReused for a key of another order.
        """
        digest = _digest(new)
        with self.database.transaction() as cursor:
            # Before the products are read: prices and products may have changed since.
            if (found := _find_by_key(cursor, new, digest)) is not None:
                return found
            check_allowance(cursor, new.user_id, allowance)
            products = read_products(cursor, {line.product_id for line in new.lines})
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
            # A concurrent request with the same key committed its order first.
            if not cursor.rowcount and (found := _find_by_key(cursor, new, digest)) is not None:
                return found
            for number, line in enumerate(new.lines, start=1):
                product = products[line.product_id]
                x, y = line.focus or (None, None)
                cursor.execute(
                    f"INSERT INTO order_lines ({LINE_COLUMNS}) VALUES "  # noqa: S608  constants
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
            return read_order(cursor, "id = %s", [order_id])

    def mark_started(self, order_id: str) -> None:
        """Records that the order's workflow was started and order.created published."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE orders SET started_at = coalesce(started_at, now()) WHERE id = %s",
                [order_id],
            )

    def get(self, order_id: str) -> Order | None:
        """The order of any customer; None if it does not exist."""
        if not is_order_id(order_id):
            return None
        with self.database.transaction() as cursor:
            return next(iter(read_orders(cursor, "id = %s", [order_id])), None)

    def of_user(self, user_id: str, order_id: str) -> Order | None:
        """The order, if it belongs to this user."""
        if not is_order_id(order_id):
            return None
        with self.database.transaction() as cursor:
            found = read_orders(cursor, "id = %s AND user_id = %s", [order_id, user_id])
            return next(iter(found), None)

    def page(self, user_id: str, limit: int, before: Position | None = None) -> tuple[Order, ...]:
        """At most `limit` of the user's orders, newest first, from the position `before` on."""
        where, values = "user_id = %s", [user_id]
        if before is not None:
            where += " AND (created_at, id) < (%s, %s)"
            values += [before.created_at, before.order_id]  # type: ignore[list-item]
        with self.database.transaction() as cursor:
            return tuple(
                read_orders(
                    cursor, where, values, f"ORDER BY created_at DESC, id DESC LIMIT {limit:d}"
                )
            )

    def page_of_all(
        self, status: OrderStatus | None, limit: int, before: Position | None = None
    ) -> tuple[Order, ...]:
        """At most `limit` orders of all users, newest first, from the position `before` on; with
        `status`, only those that have it."""
        where, values = "TRUE", []
        if status is not None:
            where += " AND status = %s"
            values += [status.value]
        if before is not None:
            where += " AND (created_at, id) < (%s, %s)"
            values += [before.created_at, before.order_id]  # type: ignore[list-item]
        with self.database.transaction() as cursor:
            return tuple(
                read_orders(
                    cursor, where, values, f"ORDER BY created_at DESC, id DESC LIMIT {limit:d}"
                )
            )

    def counts(self) -> dict[OrderStatus, int]:
        """Status to the number of orders that have it now."""
        with self.database.transaction() as cursor:
            cursor.execute("SELECT status, count(*) FROM orders GROUP BY status")
            return {OrderStatus(status): count for status, count in cursor.fetchall()}

    def transitions(self, order_id: str) -> tuple[Transition, ...]:
        """The order's history, oldest first."""
        if not is_order_id(order_id):
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

    def advance(
        self,
        order_id: str,
        to: OrderStatus,
        cause: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> Order:
        """Moves the order to `to` together with its stock: `reserved` reserves it, `fulfilled` uses
        it up, an end without prints releases it.

        A repetition changes nothing, even if the order has moved on since: check the returned
        order's status where that matters. `detail` (JSON values) is stored in the history; its
        `warnings` (a list of strings) and its `findings` (a list of the fields of
        `services.orders.api.LineFinding`) are shown to the customer.

        Raises IllegalTransition, OrderNotFound, OutOfStock and StockNotReserved, without changing
        anything.
        """
        with self.database.transaction() as cursor:
            current = _lock(cursor, order_id)
            if current is not to and to in TRANSITIONS[current]:
                _enter(cursor, order_id, current, to, cause, detail or {})
            elif not _has_been(cursor, order_id, to):
                raise IllegalTransition(order_id, current, to)
            return read_order(cursor, "id = %s", [order_id])

    def release_stock(self, order_id: str) -> None:
        """Releases the stock that is reserved for the order. `advance` to an end without prints
        did so already.

        Raises OrderUnderWay for an order that has not ended without prints, and OrderNotFound.
        """
        with self.database.transaction() as cursor:
            current = _lock(cursor, order_id)
            if not current.is_unfulfilled_terminal:
                raise OrderUnderWay(
                    f"order {order_id} is {current}; only an order that ended without prints "
                    "releases its stock"
                )
            stock.release(cursor, order_id)

    def settle(self, order_id: str, refund_id: str | None) -> Order:
        """Records that an order that ended without prints costs the customer nothing. Leaves other
        orders unchanged."""
        with self.database.transaction() as cursor:
            _lock(cursor, order_id)
            cursor.execute(
                "UPDATE orders SET settled_at = coalesce(settled_at, now()), "
                "refund_id = coalesce(refund_id, %s) WHERE id = %s AND status = ANY(%s)",
                [refund_id, order_id, _UNFULFILLED_TERMINAL],
            )
            return read_order(cursor, "id = %s", [order_id])

    def unstarted(self, before: datetime, limit: int = 100) -> tuple[Order, ...]:
        """Orders created before `before` whose start was interrupted, oldest first."""
        return self._waiting("started_at IS NULL AND created_at < %s", [before], limit)

    def open(self, before: datetime, limit: int = 100) -> tuple[Order, ...]:
        """Orders in progress that have not changed since `before`, oldest first."""
        return self._waiting("status = ANY(%s) AND updated_at < %s", [_OPEN, before], limit)

    def unsettled(self, before: datetime, limit: int = 100) -> tuple[Order, ...]:
        """Orders that ended without prints before `before` and may not be refunded yet."""
        return self._waiting(
            "settled_at IS NULL AND status = ANY(%s) AND updated_at < %s",
            [_UNFULFILLED_TERMINAL, before],
            limit,
        )

    def _waiting(self, where: str, values: Sequence[Any], limit: int) -> tuple[Order, ...]:
        with self.database.transaction() as cursor:
            return tuple(read_orders(cursor, where, values, f"ORDER BY updated_at LIMIT {limit:d}"))


def _lock(cursor: Cursor, order_id: str) -> OrderStatus:
    row = None
    if is_order_id(order_id):
        cursor.execute("SELECT status FROM orders WHERE id = %s FOR NO KEY UPDATE", [order_id])
        row = cursor.fetchone()
    if row is None:
        raise OrderNotFound(f"order {order_id} not found")
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


def _has_been(cursor: Cursor, order_id: str, status: OrderStatus) -> bool:
    cursor.execute(
        "SELECT 1 FROM order_transitions WHERE order_id = %s AND to_status = %s",
        [order_id, status.value],
    )
    return cursor.fetchone() is not None


def _find_by_key(cursor: Cursor, new: NewOrder, digest: str) -> Order | None:
    if new.idempotency_key is None:
        return None
    where, values = "user_id = %s AND idempotency_key = %s", [new.user_id, new.idempotency_key]
    cursor.execute(f"SELECT request_hash FROM orders WHERE {where}", values)  # noqa: S608
    row = cursor.fetchone()
    if row is None:
        return None
    if row[0] != digest:
        raise KeyReused(
            "the idempotency key was used for another order; use a new key for a new order"
        )
    return read_order(cursor, where, values)


def _digest(new: NewOrder) -> str:
    """A hash of all that makes two requests the same order; the e-mail address may change."""
    facts = dataclasses.asdict(new)
    del facts["recipient"], facts["idempotency_key"]
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _total(new: NewOrder, products: Mapping[str, Product]) -> tuple[str, int]:
    """Currency and total of the order. Raises MixedCurrencies and TotalTooHigh."""
    currencies = frozenset(product.currency for product in products.values())
    if len(currencies) != 1:
        raise MixedCurrencies(currencies)
    total_minor = sum(products[line.product_id].price_minor * line.quantity for line in new.lines)
    if total_minor > TOTAL_MINOR_MAX:
        raise TotalTooHigh(total_minor)
    return next(iter(currencies)), total_minor
