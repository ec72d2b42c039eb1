"""Sends the e-mail for an image event, once for each event however often it is delivered.

SES has no idempotency of its own. The claim on the event is taken right before the call and
completed right after it. A process that dies between the two leaves it unknown whether the e-mail
went out; then it is not sent again, but kept as a dead letter with that reason, and a replay of
that dead letter sends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.events.images import ImageEvent, ImageEventType, parse_image_event
from services.mail.compose import compose
from services.platform import logging
from services.platform.clients import error_code
from services.platform.errors import PermanentError
from services.platform.idempotency import Completed, IdempotencyStore
from services.platform.queue import Message

# SES's answers that no repetition changes:
# https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html#API_SendRawEmail_Errors
_REFUSED = frozenset({"MessageRejected", "InvalidParameterValue", "MailFromDomainNotVerified"})


class DeliveryUnknownError(PermanentError):
    """An earlier attempt ended while it was sending: the e-mail may or may not have gone out."""


@dataclass(frozen=True)
class ImageMailer:
    """The job of send-image-email, with what it needs."""

    s3: Any
    ses: Any
    idempotency: IdempotencyStore
    renditions_bucket: str
    sender: str

    def handle(self, message: Message) -> None:
        """Tells the customer about one image event. Raises DeliveryUnknownError."""
        event = parse_image_event(message.body)
        logging.bind(owner=event.owner, image_id=event.image_id, event_id=event.id)
        log = logging.logger()
        if event.type is ImageEventType.DELETED or event.recipient is None:
            log.info("mail-not-wanted", event_type=event.type.value)
            return
        raw = compose(event, self.sender, self._thumbnail(event)).as_bytes()
        claim = self.idempotency.claim(f"mail#{event.id}", {"recipient": event.recipient})
        if isinstance(claim, Completed):
            log.info("mail-sent-before", ses_message_id=claim.result)
            return
        if claim.takes_over and not message.replayed:
            # Stays in doubt, however often this message comes; a replay takes over and sends.
            self.idempotency.abandon(claim)
            raise DeliveryUnknownError(
                f"an earlier attempt to send the e-mail for event {event.id} ended before it could "
                "record the outcome; look for it in the mail log, and replay this dead letter if "
                "it was not sent"
            )
        try:
            answer = self.ses.send_raw_email(
                Source=self.sender,
                Destinations=[event.recipient],
                RawMessage={"Data": raw},
            )
        except self.ses.exceptions.ClientError as error:
            # SES answered, so nothing was sent. No answer at all leaves the claim: see above.
            self.idempotency.release(claim)
            if error_code(error) in _REFUSED:
                raise PermanentError(f"SES refuses the e-mail: {error}") from error
            raise
        self.idempotency.complete(claim, answer["MessageId"])
        log.info("mail-sent", ses_message_id=answer["MessageId"])

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
