"""fail-order: closes an order whose workflow failed. Releases its paper, refunds its payment and
deletes its print files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, publish
from services.orders.events import event_about
from services.orders.loading import load_order
from services.orders.model import IllegalTransition, Order, OrderStatus
from services.orders.print_files import delete_files
from services.orders.store import Orders
from services.payments.charging import Charging
from services.platform import log
from services.platform.functions.task import Task

_EVENTS: Mapping[OrderStatus, OrderEventType] = {
    OrderStatus.FAILED: OrderEventType.FAILED,
    OrderStatus.REJECTED: OrderEventType.REJECTED,
    OrderStatus.OUT_OF_STOCK: OrderEventType.OUT_OF_STOCK,
    OrderStatus.PAYMENT_DECLINED: OrderEventType.PAYMENT_DECLINED,
    # cancel-order may have died before it published the event.
    OrderStatus.CANCELLED: OrderEventType.CANCELLED,
    # The task's token may have timed out after fulfill-order moved the order.
    OrderStatus.FULFILLED: OrderEventType.SHIPPED,
}
# Of an error's name and of its cause; the log has the whole text.
_STORED_CHARACTERS_MAX = 2_000


@dataclass(frozen=True)
class FailOrder:
    """The FailOrder task of the workflow."""

    orders: Orders
    charging: Callable[[], Charging]
    s3: Any
    sns: Any
    prints_bucket: str
    topic_arn: str

    def handle(self, task_input: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Moves the order to `failed`, unless it is fulfilled or has ended. Returns its status and
        whether its payment was refunded.

        The status changes first: from then on no step charges the order or reserves its paper, and
        a step that just did so undoes it (see ProcessPayment). Only then is it certain what to
        release and refund. Raises TransientError while the state of the payment is unknown.
        """
        order = load_order(self.orders, task_input)
        order = self._close(order, task_input.get("error"))
        refund = None
        if order.status.is_unfulfilled_terminal:
            # fulfill-order may have written files before it failed.
            delete_files(self.s3, self.prints_bucket, order)
            refund = self.charging().void(order.id)
            self.orders.settle(order.id, refund.refund_id if refund is not None else None)
            self.orders.release_stock(order.id)
        if order.status in _EVENTS:
            publish(self.sns, self.topic_arn, event_about(order, _EVENTS[order.status]))
        log.logger().info("order_closed", status=order.status.value, refunded=refund is not None)
        return {"status": order.status.value, "refunded": refund is not None}

    def _close(self, order: Order, error: Any) -> Order:
        document = error if isinstance(error, dict) else {}
        detail = {
            "error": _storable(document.get("Error", "unknown")),
            "cause": _storable(document.get("Cause", "")),
        }
        try:
            return self.orders.advance(
                order.id,
                OrderStatus.FAILED,
                "An internal error stopped this order. You are not charged for it.",
                detail,
            )
        except IllegalTransition:
            return load_order(self.orders, {"order_id": order.id})


def _storable(text: Any) -> str:
    """`text`, shortened, without characters that Postgres rejects: NUL and lone surrogates. An
    error message may contain any input."""
    whole = str(text)[:_STORED_CHARACTERS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= c <= "\udfff" else c for c in whole)
