"""Events of orders, on the topic order-events.

Events are small; consumers read the order for more. Each type of event happens to an order once, so
its id is derived from type and order: a payment that both the workflow and the provider's webhook
publish is one event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.events.cloudevents import deterministic_id, parse_event, publish_event
from services.platform import log, timestamps

_SOURCE = "darkroom/orders"


class OrderEventType(StrEnum):
    CREATED = "order.created"
    PAYMENT_RECEIVED = "payment.received"
    SHIPPED = "order.shipped"
    REJECTED = "order.rejected"
    OUT_OF_STOCK = "order.out_of_stock"
    PAYMENT_DECLINED = "order.payment_declined"
    CANCELLED = "order.cancelled"
    FAILED = "order.failed"


@dataclass(frozen=True)
class OrderEvent:
    """One event of one order.

    Only a payment has `charge_id`, the provider's id of the charge, and `amount_minor`, the charged
    amount in the minor unit of `currency`. `owner` is the customer's id; None where the publisher
    does not know it: in events that come from the payment provider.
    """

    id: str
    type: OrderEventType
    time: str
    order_id: str
    charge_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    owner: str | None = None


def order_event(
    type_: OrderEventType,
    order_id: str,
    *,
    charge_id: str | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
    owner: str | None = None,
) -> OrderEvent:
    """A new event at the current time."""
    return OrderEvent(
        id=deterministic_id(type_.value, order_id),
        type=type_,
        time=timestamps.now(),
        order_id=order_id,
        charge_id=charge_id,
        amount_minor=amount_minor,
        currency=currency,
        owner=owner,
    )


def publish(sns: Any, topic_arn: str, event: OrderEvent) -> None:
    """Publishes `event` to the topic. Its correlation id is the order's id."""
    with log.correlated(event.order_id):
        publish_event(sns, topic_arn, event, source=_SOURCE, subject=event.order_id)


def parse_order_event(body: str) -> OrderEvent:
    """The event in a queue message. Raises PermanentError for any other message."""
    return parse_event(body, OrderEvent, "an order event")
