"""What the lab tells about images, as CloudEvents 1.0 on the image-events topic.

Specification: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.events.cloudevents import open_envelope
from services.platform.errors import PermanentError

_SOURCE = "darkroom/process-image"


class ImageEventType(StrEnum):
    DEVELOPED = "image.developed"
    REJECTED = "image.rejected"
    DELETED = "image.deleted"


@dataclass(frozen=True)
class ImageEvent:
    """One thing that happened to one image because of one change of one original.

    `id` is the same for every delivery of the same change, so that a consumer can tell a
    repetition. `filename` is the customer's name of the photo, `recipient` the address to tell, if
    any; `thumbnail_key` is in the renditions bucket; `reason` and `message` say why a photo was
    rejected; widths and heights are in pixels.
    """

    id: str
    type: ImageEventType
    time: str
    owner: str
    image_id: str
    source_key: str
    filename: str
    recipient: str | None = None
    width: int | None = None
    height: int | None = None
    dominant_colour: str | None = None
    thumbnail_key: str | None = None
    reason: str | None = None
    message: str | None = None


def event_id(type_: ImageEventType, owner: str, source_key: str, sequencer: str) -> str:
    """The identity of what happened: the same change of the same original gives the same id."""
    return hashlib.sha256("\n".join((type_, owner, source_key, sequencer)).encode()).hexdigest()[
        :32
    ]


def publish(sns: Any, topic_arn: str, event: ImageEvent) -> None:
    """Publishes `event`, with its type as a message attribute for subscription filters."""
    data = {
        name: value
        for name, value in dataclasses.asdict(event).items()
        if name not in ("id", "type", "time") and value is not None
    }
    sns.publish(
        TopicArn=topic_arn,
        Message=json.dumps(
            {
                "specversion": "1.0",
                "id": event.id,
                "source": _SOURCE,
                "type": event.type.value,
                "subject": event.image_id,
                "time": event.time,
                "datacontenttype": "application/json",
                "data": data,
            }
        ),
        MessageAttributes={"type": {"DataType": "String", "StringValue": event.type.value}},
    )


def parse_image_event(body: str) -> ImageEvent:
    """The event in a queue message. Raises PermanentError when it is not one."""
    document = open_envelope(body)
    try:
        known = {item.name for item in dataclasses.fields(ImageEvent)}
        # A newer producer may add fields; a consumer reads the ones that it knows.
        data = {name: value for name, value in document["data"].items() if name in known}
        return ImageEvent(
            id=document["id"],
            type=ImageEventType(document["type"]),
            time=document["time"],
            **data,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(
            f"expected an image event, got {str(document)[:200]!r} ({error!r})"
        ) from None
