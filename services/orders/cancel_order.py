"""cancel-order: answers POST /orders/{id}/cancellation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, publish
from services.orders import api
from services.orders.events import event_about
from services.orders.get_order import load_own_order
from services.orders.model import IllegalTransition, OrderStatus
from services.orders.store import Orders
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class CancelOrder:
    """Cancels one of the caller's orders.

    The workflow finds the order cancelled at its next step, and fail-order refunds its payment.
    """

    orders: Orders
    sns: Any
    topic_arn: str

    def handle(self, request: Request) -> Response:
        """Returns 200 with the cancelled order; a repetition changes nothing.

        Raises HttpProblem: 404 for an unknown order, 409 for one that can no longer be cancelled.
        """
        order = load_own_order(self.orders, request)
        log.correlate(order.id)
        try:
            order = self.orders.advance(order.id, OrderStatus.CANCELLED, "You cancelled the order.")
        except IllegalTransition as error:
            raise HttpProblem(
                api.NOT_CANCELLABLE, f"The order is already {error.current.value}."
            ) from None
        publish(self.sns, self.topic_arn, event_about(order, OrderEventType.CANCELLED))
        return Response(200, api.details(order, self.orders.transitions(order.id)))
