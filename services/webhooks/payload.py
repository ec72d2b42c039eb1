"""What a call says about an event: {"type", "timestamp", "data"}, as Standard Webhooks has it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from services.events.cloudevents import open_envelope
from services.events.images import ImageEvent, parse_image_event
from services.events.orders import OrderEvent, parse_order_event

# E-mail settings of an upload are no business of endpoints.
_IMAGE_FIELDS = (
    "owner", "image_id", "source_key", "filename", "width", "height", "dominant_colour",
    "thumbnail_key", "reason", "message", "pending",
)  # fmt: skip
_ORDER_FIELDS = ("owner", "order_id", "amount_minor", "currency")
_IMAGES = "image."


@dataclass(frozen=True)
class Call:
    """What is sent to each endpoint about one event. `owner` is whose event it is, None if the
    event does not say. `id` is the same for every delivery of the event."""

    id: str
    type: str
    owner: str | None
    body: str


def call_about(message_body: str) -> Call:
    """The call about the event in a queue message. Raises PermanentError for another message."""
    kind = str(open_envelope(message_body).get("type", ""))
    event: ImageEvent | OrderEvent
    names: tuple[str, ...]
    if kind.startswith(_IMAGES):
        event, names = parse_image_event(message_body), _IMAGE_FIELDS
    else:
        event, names = parse_order_event(message_body), _ORDER_FIELDS
    values = dataclasses.asdict(event)
    data = {name: values[name] for name in names if values[name] is not None}
    return Call(event.id, event.type.value, event.owner, body(event.type.value, event.time, data))


def body(type_: str, time: str, data: dict[str, Any]) -> str:
    """The JSON text of a call. `time` is ISO 8601 text in UTC."""
    return json.dumps({"type": type_, "timestamp": time, "data": data})
