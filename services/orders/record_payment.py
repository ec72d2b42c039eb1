"""record-payment: the provider's word that an order is paid, as payment.received tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.events.orders import OrderEvent, OrderEventType, parse_order_event
from services.orders.loading import order_given
from services.orders.model import IllegalTransition, Order, OrderStatus
from services.orders.store import Orders
from services.payments.charging import Charging
from services.platform import log
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.sqs import Message


class WrongAmount(PermanentError):  # noqa: N818
    """What was charged is not what the order costs: a person has to look."""


@dataclass(frozen=True)
class RecordPayment:
    """The job of record-payment, with what it needs."""

    orders: Orders
    charging: Callable[[], Charging]

    def handle(self, message: Message) -> None:
        """Takes the order to `paid`, unless it is that or has gone on. Events may come late, twice
        and in any order.

        Money for an order that was given up meanwhile is given back. Raises WrongAmount, and
        TransientError for an order that does not wait for money yet.
        """
        event = parse_order_event(message.body)
        if event.type is not OrderEventType.PAYMENT_RECEIVED:
            raise PermanentError(f"expected payment.received, got {event.type}")
        order = order_given(self.orders, {"order_id": event.order_id})
        _check_amount(order, event)
        try:
            order = self.orders.advance(
                order.id, OrderStatus.PAID, detail={"payment_id": event.charge_id}
            )
        except IllegalTransition as error:
            if not error.current.ended_badly:
                raise TransientError(
                    f"order {order.id} does not wait for money: {error}"
                ) from error
            order = order_given(self.orders, {"order_id": event.order_id})
        if order.status.ended_badly:
            refund = self.charging().void(order.id)
            self.orders.settle(order.id, refund.refund_id if refund is not None else None)
        log.logger().info("payment-recorded", status=order.status.value)


def _check_amount(order: Order, event: OrderEvent) -> None:
    if event.amount_minor is None and event.currency is None:
        return
    wanted, got = (order.total_minor, order.currency), (event.amount_minor, event.currency)
    if wanted[0] != got[0] or wanted[1].lower() != str(got[1]).lower():
        raise WrongAmount(f"order {order.id}: expected a payment of {wanted}, got {got}")
