"""How many orders a customer may place, and how many payments may be declined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.orders.model import OrderLimitReached, OrderStatus

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812


@dataclass(frozen=True)
class Allowance:
    """The orders of an account in 24 hours, and its declined payments in one hour, which limit
    the number of cards that can be tried. None: unlimited."""

    orders_per_day: int | None = None
    declined_per_hour: int | None = None


UNLIMITED = Allowance()


def check_allowance(cursor: Cursor, user_id: str, allowance: Allowance) -> None:
    """Raises OrderLimitReached for an account that may not order now. Concurrent orders of one
    account may exceed the limit by their number."""
    if allowance == UNLIMITED:
        return
    cursor.execute(
        """
        SELECT
          count(*),
          extract(epoch FROM min(created_at) + interval '1 day' - now()),
          count(*) FILTER (WHERE declined),
          extract(epoch FROM min(created_at) FILTER (WHERE declined) + interval '1 hour' - now())
        FROM (
          SELECT created_at, status = %s AND created_at > now() - interval '1 hour' AS declined
          FROM orders WHERE user_id = %s AND created_at > now() - interval '1 day'
        ) AS latest
        """,
        [OrderStatus.PAYMENT_DECLINED.value, user_id],
    )
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("an aggregate has no row")
    orders, orders_seconds, declined, declined_seconds = row
    if allowance.orders_per_day is not None and orders >= allowance.orders_per_day:
        raise OrderLimitReached(f"{allowance.orders_per_day} orders a day", float(orders_seconds))
    if allowance.declined_per_hour is not None and declined >= allowance.declined_per_hour:
        raise OrderLimitReached(
            f"{allowance.declined_per_hour} declined payments an hour", float(declined_seconds)
        )
