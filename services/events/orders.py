"""What the lab tells about orders, as CloudEvents 1.0 on the order-events topic.

Events are small: who wants to know more reads the order. Each thing happens to an order once, so
an event's id follows from its type and its order, whoever publishes it and however often: the
payment is told of by the workflow and by the provider's webhook, and it is one event.

Specification: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from services.events.cloudevents import open_envelope
from services.platform.errors import PermanentError

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
    """One thing that happened to one order.

    `charge_id` is the provider's, `amount_minor` what was charged in the minor unit of `currency`:
    both of a payment only.
    """

    id: str
    type: OrderEventType
    time: str
    order_id: str
    charge_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


def order_event(
    type_: OrderEventType,
    order_id: str,
    *,
    charge_id: str | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
) -> OrderEvent:
    """The event, as of now, with the id that it always has."""
    return OrderEvent(
        id=hashlib.sha256(f"{type_.value}\n{order_id}".encode()).hexdigest()[:32],
        type=type_,
        time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        order_id=order_id,
        charge_id=charge_id,
        amount_minor=amount_minor,
        currency=currency,
    )


def publish(sns: Any, topic_arn: str, event: OrderEvent) -> None:
    """Publishes `event`, with its type as a message attribute for subscription filters."""
    sns.publish(
        TopicArn=topic_arn,
        Message=_document(event),
        MessageAttributes={"type": {"DataType": "String", "StringValue": event.type.value}},
    )


def parse_order_event(body: str) -> OrderEvent:
    """The event in a queue message. Raises PermanentError when it is not one."""
    document = open_envelope(body)
    try:
        known = {item.name for item in dataclasses.fields(OrderEvent)} - {"id", "type", "time"}
        # A newer producer may add fields; a consumer reads the ones that it knows.
        data = {name: value for name, value in document["data"].items() if name in known}
        event = OrderEvent(
            id=document["id"],
            type=OrderEventType(document["type"]),
            time=document["time"],
            **data,
        )
        _check(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(
            f"expected an order event, got {str(document)[:200]!r} ({error!r})"
        ) from None
    return event


def _check(event: OrderEvent) -> None:
    """Raises TypeError for an event whose values are of other types than they are said to be."""
    for name in ("id", "time", "order_id"):
        value = getattr(event, name)
        if not isinstance(value, str) or not value:
            raise TypeError(f"expected a text in {name}, got {value!r}")
    for name, type_ in (("charge_id", str), ("amount_minor", int), ("currency", str)):
        value = getattr(event, name)
        if value is not None and type(value) is not type_:
            raise TypeError(f"expected {type_.__name__} in {name}, got {value!r}")


def _document(event: OrderEvent) -> str:
    data = {
        name: value
        for name, value in dataclasses.asdict(event).items()
        if name not in ("id", "type", "time") and value is not None
    }
    return json.dumps(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": _SOURCE,
            "type": event.type.value,
            "subject": event.order_id,
            "time": event.time,
            "datacontenttype": "application/json",
            "data": data,
        }
    )
