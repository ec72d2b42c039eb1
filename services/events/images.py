"""Events of images, on the topic image-events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.events.cloudevents import deterministic_id, parse_event, publish_event

_SOURCE = "darkroom/process-image"


class ImageEventType(StrEnum):
    DEVELOPED = "image.developed"
    REJECTED = "image.rejected"
    DELETED = "image.deleted"
    REDEVELOPED = "image.redeveloped"
    """Rendered again, because its recipe changed. No e-mail is sent."""


@dataclass(frozen=True)
class ImageEvent:
    """The outcome of one change of one original.

    `id` is the same for every delivery of the change. `filename` is the customer's name of the
    photo; `recipient` the e-mail address to notify, if any, and `recipient_name` that person's
    name; `on_website` is true if the customer uploaded the photo on the website. `thumbnail_key` is
    a key in the renditions bucket. `reason` and `message` explain a rejection, for programs and for
    people. Width and height are in pixels; `dominant_colour` is a CSS colour. `pending` is the
    format of renditions that are still to be added, if any; it is a message attribute too, for
    subscription filters.
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
    pending: str | None = None
    recipient_name: str | None = None
    on_website: bool | None = None


def event_id(type_: ImageEventType, owner: str, source_key: str, sequencer: str) -> str:
    """The id of an event: the same for the same type, original and sequencer."""
    return deterministic_id(type_, owner, source_key, sequencer)


def redevelopment_id(owner: str, source_key: str, sequencer: str, recipe_version: str) -> str:
    """The id of an event REDEVELOPED: the same for the same original, sequencer and recipe."""
    return deterministic_id(
        ImageEventType.REDEVELOPED, owner, source_key, sequencer, recipe_version
    )


def publish(sns: Any, topic_arn: str, event: ImageEvent) -> None:
    """Publishes `event` to the topic."""
    attributes = {"pending": event.pending} if event.pending else {}
    publish_event(
        sns,
        topic_arn,
        event,
        source=_SOURCE,
        subject=event.image_id,
        attributes=attributes,
        owner=event.owner,
    )


def parse_image_event(body: str) -> ImageEvent:
    """The event in a queue message. Raises PermanentError for any other message."""
    return parse_event(body, ImageEvent, "an image event")
