"""Sends the e-mail for an image event, once for each event: see services.mail.outbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.events.images import ImageEvent, ImageEventType, parse_image_event
from services.mail.compose import compose
from services.mail.outbox import Outbox
from services.platform import log
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class ImageMailer:
    """The job of send-image-email, with what it needs."""

    s3: Any
    outbox: Outbox
    renditions_bucket: str

    def handle(self, message: Message) -> None:
        """Tells the customer about one image event. Raises DeliveryUnknownError."""
        event = parse_image_event(message.body)
        log.bind(owner=event.owner, image_id=event.image_id, event_id=event.id)
        if event.type is ImageEventType.DELETED or event.recipient is None:
            log.logger().info("mail-not-wanted", event_type=event.type.value)
            return
        mail = compose(event, self.outbox.sender, self._thumbnail(event))
        self.outbox.send(event.id, event.recipient, mail, replayed=message.replayed)

    def _thumbnail(self, event: ImageEvent) -> bytes | None:
        if event.thumbnail_key is None:
            return None
        try:
            answer = self.s3.get_object(Bucket=self.renditions_bucket, Key=event.thumbnail_key)
        except self.s3.exceptions.NoSuchKey:
            return None  # the photo was deleted since; the e-mail does without
        with answer["Body"] as body:
            content: bytes = body.read()
        return content
