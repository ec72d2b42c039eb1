"""NotifyOutOfStock and NotifyPaymentDeclined: the customer is to hear how the order ended.

They publish an event, of which send-order-problem makes the e-mail: so a mail server that is slow
or away holds up no workflow, and an e-mail in doubt is a dead letter that a person can replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.events.orders import OrderEventType, order_event, publish
from services.orders.loading import order_given
from services.orders.store import Orders
from services.platform.functions.task import Task


@dataclass(frozen=True)
class TellCustomer:
    """The step, with what it needs; `type_` is what is told."""

    orders: Orders
    sns: Any
    topic_arn: str
    type_: OrderEventType

    def run(self, given: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Publishes the event; a repetition has the same id."""
        order = order_given(self.orders, given)
        event = order_event(self.type_, order.id)
        publish(self.sns, self.topic_arn, event)
        return {"event_id": event.id}
