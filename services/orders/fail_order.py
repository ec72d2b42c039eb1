"""FailOrder: the workflow's catch-all. Whatever went wrong, the order ends in one clear state, and
the books balance: the paper is given back, and so is the money. Nothing is left for the printer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders.loading import order_given
from services.orders.model import IllegalTransition, Order, OrderStatus
from services.orders.print_files import withdraw
from services.orders.store import Orders
from services.payments.charging import Charging
from services.platform import log
from services.platform.functions.task import Task

_TOLD: Mapping[OrderStatus, OrderEventType] = {
    OrderStatus.FAILED: OrderEventType.FAILED,
    OrderStatus.REJECTED: OrderEventType.REJECTED,
    OrderStatus.OUT_OF_STOCK: OrderEventType.OUT_OF_STOCK,
    OrderStatus.PAYMENT_DECLINED: OrderEventType.PAYMENT_DECLINED,
    # Whoever cancelled it may have died before that was told.
    OrderStatus.CANCELLED: OrderEventType.CANCELLED,
    # Its token may have timed out while it was at the very end.
    OrderStatus.FULFILLED: OrderEventType.SHIPPED,
}
# Of an error's name and cause; the log has all of it.
_KEPT_CHARACTERS_MAX = 2_000


@dataclass(frozen=True)
class FailOrder:
    """The step, with what it needs."""

    orders: Orders
    charging: Callable[[], Charging]
    s3: Any
    sns: Any
    prints_bucket: str
    topic_arn: str

    def run(self, given: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Closes the order, unless it has ended or is fulfilled; answers where it stands then.

        The status is moved first: from then on nobody charges the order or takes its paper, and
        whoever just did gives it back (see ProcessPayment). Only then is it sure what there is to
        give back. Raises TransientError while that is not certain.
        """
        order = order_given(self.orders, given)
        order = self._close(order, given.get("error"))
        refund = None
        if order.status.ended_badly:
            # FulfillOrder may have come to its last line, and never to its end.
            withdraw(self.s3, self.prints_bucket, order)
            refund = self.charging().void(order.id)
            self.orders.settle(order.id, refund.refund_id if refund is not None else None)
            self.orders.release_stock(order.id)
        if order.status in _TOLD:
            publish(self.sns, self.topic_arn, order_event(_TOLD[order.status], order.id))
        log.logger().info("order-closed", status=order.status.value, refunded=refund is not None)
        return {"status": order.status.value, "refunded": refund is not None}

    def _close(self, order: Order, error: Any) -> Order:
        document = error if isinstance(error, dict) else {}
        detail = {
            "error": _kept(document.get("Error", "unknown")),
            "cause": _kept(document.get("Cause", "")),
        }
        try:
            return self.orders.advance(
                order.id,
                OrderStatus.FAILED,
                "Something went wrong in the lab. Nothing is charged for this order.",
                detail,
            )
        except IllegalTransition:
            return order_given(self.orders, {"order_id": order.id})


def _kept(text: Any) -> str:
    """`text` as Postgres can hold it: an error may repeat anything, and no order must stay open for
    what was written of it."""
    whole = str(text)[:_KEPT_CHARACTERS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= c <= "\udfff" else c for c in whole)
