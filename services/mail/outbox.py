"""Sends an e-mail through SES, once for each event however often that is delivered.

SES has no idempotency of its own. The claim on the event is taken right before the call and
completed right after it. A process that dies between the two leaves it unknown whether the e-mail
went out; then it is not sent again, but kept as a dead letter with that reason, and a replay of
that dead letter sends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from services.platform import log
from services.platform.aws.clients import error_code
from services.platform.errors import PermanentError
from services.platform.idempotency import Completed, IdempotencyStore

# SES's answers that no repetition changes:
# https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html#API_SendRawEmail_Errors
_REFUSED = frozenset({"MessageRejected", "InvalidParameterValue", "MailFromDomainNotVerified"})


class DeliveryUnknownError(PermanentError):
    """An earlier attempt ended while it was sending: the e-mail may or may not have gone out."""


@dataclass(frozen=True)
class Outbox:
    """Sends from `sender`, each e-mail once."""

    ses: Any
    idempotency: IdempotencyStore
    sender: str

    def send(
        self, event_id: str, recipient: str, mail: EmailMessage, *, replayed: bool = False
    ) -> None:
        """Sends `mail`, unless the e-mail for this event was sent before. `replayed` tells that a
        person sent the event back after looking into it. Raises DeliveryUnknownError."""
        logger = log.logger()
        raw = mail.as_bytes()
        claim = self.idempotency.claim(f"mail#{event_id}", {"recipient": recipient})
        if isinstance(claim, Completed):
            logger.info("mail-sent-before", ses_message_id=claim.result)
            return
        if claim.takes_over and not replayed:
            # Stays in doubt, however often this message comes; a replay takes over and sends.
            self.idempotency.abandon(claim)
            raise DeliveryUnknownError(
                f"an earlier attempt to send the e-mail for event {event_id} ended before it could "
                "record the outcome; look for it in the mail log, and replay this dead letter if "
                "it was not sent"
            )
        try:
            answer = self.ses.send_raw_email(
                Source=self.sender, Destinations=[recipient], RawMessage={"Data": raw}
            )
        except self.ses.exceptions.ClientError as error:
            # SES answered, so nothing was sent. No answer at all leaves the claim: see above.
            self.idempotency.release(claim)
            if error_code(error) in _REFUSED:
                raise PermanentError(f"SES refuses the e-mail: {error}") from error
            raise
        self.idempotency.complete(claim, answer["MessageId"])
        logger.info("mail-sent", ses_message_id=answer["MessageId"])
