"""ProcessPayment: takes the money for an order, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders.loading import OrderEnded, advance, last_detail, order_under_way
from services.orders.model import IllegalTransition, Order, OrderStatus
from services.orders.store import Orders
from services.payments.charging import Charging
from services.payments.model import PaymentDeclined, PaymentVoided
from services.platform.functions.task import Task

# With its paper reserved, or gone on from there: then it is charged already, and asked for that.
_CHARGEABLE = frozenset(
    {OrderStatus.RESERVED, OrderStatus.PAID, OrderStatus.FULFILLED, OrderStatus.SHIPPED}
)


@dataclass(frozen=True)
class ProcessPayment:
    """The step, with what it needs."""

    orders: Orders
    charging: Callable[[], Charging]
    sns: Any
    topic_arn: str

    def run(self, given: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Takes the order to `paid`. The provider's webhook may have been faster.

        Raises PaymentDeclined, and the order has ended with it; TransientError while the outcome is
        not known; OrderEnded for one that was given up meanwhile, whose money is given back.
        """
        order = order_under_way(self.orders, given)
        if order.status is OrderStatus.PAYMENT_DECLINED:
            raise PaymentDeclined(str(last_detail(self.orders, order)[1].get("reason", "declined")))
        if order.status not in _CHARGEABLE:
            raise IllegalTransition(order.id, order.status, OrderStatus.PAID)
        try:
            # Of an order that is paid already, the charge that there was.
            charge = self.charging().charge(
                order.id, order.total_minor, order.currency, order.payment_method
            )
        except PaymentDeclined as declined:
            self._decline(order, declined)
            raise
        except PaymentVoided as error:
            raise OrderEnded(f"order {order.id}: its payment was called off") from error
        detail = {
            "payment_id": charge.payment_id,
            "amount_minor": charge.amount_minor,
            "currency": charge.currency,
        }
        try:
            advance(self.orders, order, OrderStatus.PAID, detail=detail)
        except OrderEnded:
            # Given up between our question and the provider's answer.
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
            ),
        )
        return detail

    def _decline(self, order: Order, declined: PaymentDeclined) -> None:
        advance(
            self.orders,
            order,
            OrderStatus.PAYMENT_DECLINED,
            "The payment was declined.",
            {"reason": declined.reason},
        )
        self.orders.settle(order.id, None)
