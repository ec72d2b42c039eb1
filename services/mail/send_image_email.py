"""Sends the e-mail for an image event: the photo was developed, or rejected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from services.events.images import ImageEvent, ImageEventType, parse_image_event
from services.mail.digests import DigestRequest, Digests, digest_letter, parse_digest
from services.mail.headers import check_address, one_line
from services.mail.letter import Letter, Picture
from services.mail.outbox import Outbox
from services.mail.recipients import EmailKind, PhotoCounts
from services.platform import log
from services.platform.errors import PermanentError
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class SendImageEmail:
    """Handles image events."""

    s3: Any
    outbox: Outbox
    renditions_bucket: str
    digests: Digests | None = None

    def handle(self, message: Message) -> None:
        """Sends the e-mail for one event, if the upload has a recipient, or a digest. Raises
        DeliveryUnknownError."""
        request = parse_digest(message.body)
        if request is not None:
            self._send_digest(request, message)
            return
        event = parse_image_event(message.body)
        log.bind(owner=event.owner, image_id=event.image_id, event_id=event.id)
        announced = event.type in (ImageEventType.DEVELOPED, ImageEventType.REJECTED)
        if not announced or event.recipient is None:
            log.logger().info("email_not_requested", event_type=event.type.value)
            return
        check_address(event.recipient)
        if self.digests is not None and self.digests.take(event, event.recipient):
            log.logger().info("email_left_to_digest", event_type=event.type.value)
            return
        letter = image_letter(event, self._thumbnail(event))
        if event.on_website:
            letter = replace(letter, link=self.outbox.link("Your photo", "photos", event.image_id))
        self.outbox.send(
            event.id, event.recipient, letter, EmailKind.PHOTO, replayed=message.replayed
        )

    def _send_digest(self, request: DigestRequest, message: Message) -> None:
        if self.digests is None:
            raise PermanentError("a digest is requested, but the function makes none")
        counts = self.digests.photos(request)
        if counts == PhotoCounts():
            return
        letter = digest_letter(counts, request.recipient_name)
        if request.on_website:
            letter = replace(letter, link=self.outbox.link("Your photos", "photos"))
        self.outbox.send(
            request.id, request.recipient, letter, EmailKind.PHOTO, replayed=message.replayed
        )

    def _thumbnail(self, event: ImageEvent) -> bytes | None:
        if event.thumbnail_key is None:
            return None
        try:
            answer = self.s3.get_object(Bucket=self.renditions_bucket, Key=event.thumbnail_key)
        except self.s3.exceptions.NoSuchKey:
            return None  # the photo was deleted meanwhile
        with answer["Body"] as body:
            content: bytes = body.read()
        return content


def image_letter(event: ImageEvent, thumbnail: bytes | None) -> Letter:
    """The e-mail about the outcome of a development. `thumbnail` is a JPEG to show in it."""
    name = one_line(event.filename)
    picture = Picture(thumbnail, name) if thumbnail is not None else None
    if event.type is ImageEventType.DEVELOPED:
        return Letter(
            subject=f"Developed: {name}",
            headline="Your photo is ready.",
            lines=(f"{name} ({event.width} × {event.height} pixels) has been developed.",),
            name=event.recipient_name or "",
            reference=event.image_id,
            accent=event.dominant_colour,
            picture=picture,
        )
    return Letter(
        subject=f"We could not develop {name}",
        headline="We could not develop your photo.",
        lines=(f"{name}: {one_line(event.message or '')}", "Nothing was charged."),
        name=event.recipient_name or "",
        reference=event.image_id,
        accent=event.dominant_colour,
        picture=picture,
    )
