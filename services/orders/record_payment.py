"""record-payment: moves an order to `paid` on the event payment.received."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.events.orders import OrderEvent, OrderEventType, parse_order_event
from services.orders.loading import load_order
from services.orders.model import IllegalTransition, Order, OrderStatus
from services.orders.store import Orders
from services.payments.charging import Charging
from services.platform import log
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.sqs import Message


class WrongAmount(PermanentError):  # noqa: N818
    """The charged amount differs from the order's total; an operator must look into it."""


@dataclass(frozen=True)
class RecordPayment:
    """Records payments that the provider confirmed."""

    orders: Orders
    charging: Callable[[], Charging]

    def handle(self, message: Message) -> None:
        """Moves the order to `paid`, unless it is paid already. Events may arrive late, twice and
        in any order.

        Refunds the payment of an order that ended without prints. Raises WrongAmount,
        OrderNotFound, PermanentError for another event, and TransientError for an order that is
        not reserved yet.
        """
        event = parse_order_event(message.body)
        if event.type is not OrderEventType.PAYMENT_RECEIVED:
            raise PermanentError(f"expected payment.received, got {event.type}")
        order = load_order(self.orders, {"order_id": event.order_id})
        _check_amount(order, event)
        try:
            order = self.orders.advance(
                order.id, OrderStatus.PAID, detail={"payment_id": event.charge_id}
            )
        except IllegalTransition as error:
            if not error.current.is_unfulfilled_terminal:
                raise TransientError(f"the order is not ready for a payment: {error}") from error
            order = load_order(self.orders, {"order_id": event.order_id})
        if order.status.is_unfulfilled_terminal:
            refund = self.charging().void(order.id)
            self.orders.settle(order.id, refund.refund_id if refund is not None else None)
        log.logger().info("payment_recorded", status=order.status.value)


def _check_amount(order: Order, event: OrderEvent) -> None:
    if event.amount_minor is None and event.currency is None:
        return
    wanted, got = (order.total_minor, order.currency), (event.amount_minor, event.currency)
    if wanted[0] != got[0] or wanted[1].lower() != str(got[1]).lower():
        raise WrongAmount(
            f"order {order.id} costs {wanted[0]} {wanted[1]} (minor unit), but {got[0]} {got[1]} "
            "was charged"
        )
