"""What the tasks NotifyOutOfStock and NotifyPaymentDeclined share: they publish an event, from
which send-order-problem writes an e-mail.

The e-mail is a function of its own, so that a slow mail server delays no workflow and an e-mail
whose delivery is unknown becomes a dead letter that an operator can replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from services.events.orders import OrderEventType, publish
from services.orders.events import event_about
from services.orders.loading import load_order
from services.orders.store import Orders
from services.platform.functions.task import Task


@dataclass(frozen=True)
class Notification:
    """A task of the workflow that publishes an event of `event_type` for the order."""

    event_type: ClassVar[OrderEventType]

    orders: Orders
    sns: Any
    topic_arn: str

    def handle(self, task_input: Mapping[str, Any], _task: Task) -> dict[str, Any]:
        """Publishes the event and returns its id, which is the same for a repetition.

        Raises OrderNotFound.
        """
        order = load_order(self.orders, task_input)
        event = event_about(order, self.event_type)
        publish(self.sns, self.topic_arn, event)
        return {"event_id": event.id}
