"""process-payment: charges an order, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders.declined_payments import DeclinedPayments
from services.orders.loading import OrderEnded, advance, last_transition, load_active_order
from services.orders.model import IllegalTransition, Order, OrderStatus
from services.orders.store import Orders
from services.payments.charging import Charging
from services.payments.model import PaymentDeclined, PaymentVoided
from services.platform.functions.task import Task

# A reserved order, or one that a repetition finds charged: `charge` returns the first charge.
_CHARGEABLE = frozenset(
    {OrderStatus.RESERVED, OrderStatus.PAID, OrderStatus.FULFILLED, OrderStatus.SHIPPED}
)


@dataclass(frozen=True)
class ProcessPayment:
    """The ProcessPayment task of the workflow."""

    orders: Orders
    charging: Callable[[], Charging]
    sns: Any
    topic_arn: str
    declined_payments: DeclinedPayments | None = None

    def handle(self, task_input: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Moves the order to `paid`, if the provider's webhook did not do so before, and returns
        the charge.

        Raises PaymentDeclined, after it moved the order to `payment_declined`; TransientError while
        the outcome is unknown; OrderEnded for an order that was cancelled or has failed, after it
        refunded the charge.
        """
        order = load_active_order(self.orders, task_input)
        if order.status is OrderStatus.PAYMENT_DECLINED:
            detail = last_transition(self.orders, order).detail
            raise PaymentDeclined(str(detail.get("reason", "declined")))
        if order.status not in _CHARGEABLE:
            raise IllegalTransition(order.id, order.status, OrderStatus.PAID)
        try:
            charge = self.charging().charge(
                order.id, order.total_minor, order.currency, order.payment_method
            )
        except PaymentDeclined as declined:
            self._decline(order, declined)
            raise
        except PaymentVoided as error:
            raise OrderEnded(f"the payment of order {order.id} was cancelled") from error
        detail = {
            "payment_id": charge.payment_id,
            "amount_minor": charge.amount_minor,
            "currency": charge.currency,
        }
        try:
            advance(self.orders, order, OrderStatus.PAID, detail=detail)
        except OrderEnded:
            # Cancelled or failed while the provider charged it.
            refund = self.charging().void(order.id)
            self.orders.settle(order.id, refund.refund_id if refund is not None else None)
            raise
        publish(
            self.sns,
            self.topic_arn,
            order_event(
                OrderEventType.PAYMENT_RECEIVED,
                order.id,
                charge_id=charge.payment_id,
                amount_minor=charge.amount_minor,
                currency=charge.currency,
                owner=order.user_id,
            ),
        )
        return detail

    def _decline(self, order: Order, declined: PaymentDeclined) -> None:
        if self.declined_payments is not None:
            self.declined_payments.count(order.id)
        advance(
            self.orders,
            order,
            OrderStatus.PAYMENT_DECLINED,
            "The payment was declined.",
            {"reason": declined.reason},
        )
        self.orders.settle(order.id, None)
