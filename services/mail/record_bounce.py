"""record-bounce: stops e-mails to addresses that bounce or complain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.events.mail import MailEventType, parse_mail_event
from services.mail.recipients import Recipients, Suppression
from services.platform import log
from services.platform.functions.sqs import Message

_SUPPRESSIONS: Mapping[MailEventType, Suppression] = {
    MailEventType.BOUNCE: Suppression.BOUNCE,
    MailEventType.COMPLAINT: Suppression.COMPLAINT,
}


@dataclass(frozen=True)
class RecordBounce:
    """Handles the events of SES."""

    recipients: Recipients

    def handle(self, message: Message) -> None:
        """Suppresses the recipients of a final bounce or complaint. Safe to repeat. Raises
        PermanentError for any other message."""
        event = parse_mail_event(message.body)
        log.bind(ses_message_id=event.ses_message_id)
        if event.is_final:
            for address in event.recipients:
                self.recipients.suppress(address, _SUPPRESSIONS[event.type])
        # Addresses are personal data: the log has their number only.
        log.logger().info(
            "recipients_suppressed" if event.is_final else "mail_event_ignored",
            event_type=event.type.value,
            reason=event.reason,
            recipients=len(event.recipients),
        )
