"""Events of SES about e-mails that were sent, on the topic mail-events.

SES publishes them as its configuration set says:
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.events.cloudevents import open_envelope
from services.platform.errors import PermanentError


class MailEventType(StrEnum):
    """The types of SES that are handled."""

    BOUNCE = "Bounce"
    COMPLAINT = "Complaint"


@dataclass(frozen=True)
class MailEvent:
    """A bounce or a complaint. `is_final`: no more e-mail may be sent to `recipients`. A bounce is
    final if SES calls it permanent, a complaint unless it says that the e-mail is no spam.
    `ses_message_id` is the id that SES answered when it accepted the e-mail."""

    type: MailEventType
    is_final: bool
    recipients: tuple[str, ...]
    ses_message_id: str
    reason: str


def parse_mail_event(body: str) -> MailEvent:
    """The event in a queue message. Raises PermanentError for any other message."""
    document = open_envelope(body)
    try:
        type_ = MailEventType(document["eventType"])
        if type_ is MailEventType.BOUNCE:
            detail = document["bounce"]
            recipients, reason = detail["bouncedRecipients"], detail["bounceType"]
            is_final = reason == "Permanent"
        else:
            detail = document["complaint"]
            recipients = detail["complainedRecipients"]
            reason = detail.get("complaintFeedbackType") or "complaint"
            is_final = reason != "not-spam"
        return MailEvent(
            type=type_,
            is_final=is_final,
            recipients=tuple(_address(recipient) for recipient in recipients),
            ses_message_id=_text(document["mail"]["messageId"]),
            reason=_text(reason),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(
            "the message is not an event of SES: expected a Bounce or a Complaint, got "
            f"{str(document)[:200]!r} ({error!r})"
        ) from None


def _address(recipient: Any) -> str:
    """The address of a recipient, without a display name."""
    return _text(recipient["emailAddress"]).rpartition("<")[2].rstrip(">").strip()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"expected text, got {value!r}")
    return value
