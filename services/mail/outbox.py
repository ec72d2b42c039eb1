"""Sends e-mails through SES, each at most once for its event, however often that is delivered.

SES has no idempotency. The claim on the event is taken right before the call and completed right
after it, and the call is made once, without the SDK's retries. If the outcome of the call is
unknown (the process died, the response was lost, SES answered 5xx), the e-mail is not sent again:
the message becomes a dead letter, and its replay by an operator sends the e-mail.

An e-mail that SES throttles was not sent. The call is repeated within the invocation; if SES still
throttles it, or the quota of 24 hours is used up, the message is postponed, which uses up no
receive. So is a delivery while another one of the same event may still send the e-mail.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from services.mail.headers import check_address
from services.mail.letter import Letter, Link, Stationery, write
from services.mail.recipients import EmailKind, Recipients
from services.platform import deadline, log, metrics
from services.platform.aws.clients import error_code
from services.platform.errors import PermanentError, PostponedError, TransientError
from services.platform.functions.sqs import DELAY_SECONDS_MAX
from services.platform.idempotency import AlreadyInProgressError, Claim, Completed, IdempotencyStore
from services.platform.metrics import Metric

# Errors that no retry changes:
# https://docs.aws.amazon.com/ses/latest/APIReference/API_SendRawEmail.html#API_SendRawEmail_Errors
_REFUSED = frozenset({"MessageRejected", "InvalidParameterValue", "MailFromDomainNotVerified"})


# https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException"})
_QUOTA_OF_THE_DAY = "Daily message quota exceeded"
THROTTLED_ATTEMPTS = 6
THROTTLED_BASE_SECONDS, THROTTLED_CAP_SECONDS = 0.5, 4.0
# A wait leaves this much of the invocation, for the call and the other messages of the batch.
THROTTLED_RESERVE_SECONDS = 8.0


class DeliveryUnknownError(PermanentError):
    """An earlier attempt to send the e-mail has an unknown outcome."""


@dataclass(frozen=True)
class Outbox:
    """Sends e-mails on `stationery`. `ses` must be a client without retries. `site_url` is the
    address of the website that e-mails link to, `api_url` that of the API, which unsubscribe links
    need; both without a slash at the end. None: no such links. `configuration_set` is that of SES,
    which publishes bounces and complaints. Without `recipients`, essential e-mails go to every
    address, and no others are sent."""

    ses: Any
    idempotency: IdempotencyStore
    recipients: Recipients | None
    stationery: Stationery
    site_url: str | None = None
    api_url: str | None = None
    configuration_set: str | None = None
    sleep: Callable[[float], None] = time.sleep

    def link(self, text: str, *path: str) -> Link | None:
        """A link to a page of the website, if there is a website."""
        if self.site_url is None:
            return None
        return Link(text, "/".join((self.site_url, *(quote(part, safe="") for part in path))))

    def page_link(self, text: str, *path: str) -> Link | None:
        """A link to a page of the website with a secret in it, if there is a website. The path is
        after `#`: browsers send that part to no server."""
        if self.site_url is None:
            return None
        return Link(text, "/".join((self.site_url, "#", *(quote(part, safe="") for part in path))))

    def send(
        self,
        event_id: str,
        recipient: str,
        letter: Letter,
        kind: EmailKind = EmailKind.ESSENTIAL,
        *,
        replayed: bool = False,
    ) -> None:
        """Sends `letter`, unless the e-mail of this event was sent before, or the recipient gets no
        e-mails of this kind.

        `replayed`: an operator replayed the dead letter of this event, so an unknown outcome does
        not prevent sending. Raises DeliveryUnknownError, PermanentError for an invalid recipient
        and for an e-mail that SES refuses, TransientError while SES cannot be reached,
        PostponedError while a quota of SES is used up, or another delivery of the event may still
        send the e-mail.
        """
        logger = log.logger()
        check_address(recipient)
        letter, reason = self._for_recipient(letter, recipient, kind)
        if reason is not None:
            metrics.record(Metric.EMAILS, outcome="not_wanted")
            logger.info("email_not_wanted", reason=reason)
            return
        raw = write(letter, self.stationery, recipient, event_id)
        try:
            claim = self.idempotency.claim(f"mail#{event_id}", {"recipient": recipient})
        except AlreadyInProgressError as error:
            # Waiting must not use up the receives: the replay of such a dead letter sends again.
            raise PostponedError(str(error), error.seconds) from error
        if isinstance(claim, Completed):
            logger.info("email_already_sent", ses_message_id=claim.result)
            return
        if claim.takes_over and not replayed:
            # The outcome stays unknown for later deliveries; a replay takes over and sends.
            self.idempotency.abandon(claim)
            metrics.record(Metric.EMAILS, outcome="unknown")
            raise _unknown(event_id)
        message_id = self._send(claim, event_id, recipient, raw)
        self.idempotency.complete(claim, message_id)
        metrics.record(Metric.EMAILS, outcome="sent")
        logger.info("email_sent", ses_message_id=message_id)

    def _for_recipient(
        self, letter: Letter, recipient: str, kind: EmailKind
    ) -> tuple[Letter, str | None]:
        """The letter with its unsubscribe link, and why it is not sent, if so."""
        if self.recipients is None:
            return letter, None if kind is EmailKind.ESSENTIAL else "no table of recipients"
        if kind is EmailKind.ESSENTIAL:
            return letter, self.recipients.settings(recipient).reason_against(kind)
        settings = self.recipients.settings_with_token(recipient)
        if self.api_url is not None:
            url = f"{self.api_url}/unsubscribe/{settings.token}"
            letter = replace(letter, unsubscribe_url=url)
        return letter, settings.reason_against(kind)

    def _send(self, claim: Claim, event_id: str, recipient: str, raw: bytes) -> str:
        """Sends the e-mail, again after each throttling while the invocation has time for it."""
        for attempt in range(1, THROTTLED_ATTEMPTS + 1):
            message_id = self._send_once(claim, event_id, recipient, raw)
            if message_id is not None:
                return message_id
            pause = min(THROTTLED_BASE_SECONDS * 2**attempt, THROTTLED_CAP_SECONDS)
            pause *= random.uniform(0.5, 1)  # noqa: S311  jitter
            in_time = deadline.seconds_left() - pause >= THROTTLED_RESERVE_SECONDS
            if attempt == THROTTLED_ATTEMPTS or not in_time:
                break
            self.sleep(pause)
        self.idempotency.release(claim)
        raise PostponedError(
            "SES throttles e-mails: more are sent than its rate allows", THROTTLED_CAP_SECONDS
        )

    def _send_once(self, claim: Claim, event_id: str, recipient: str, raw: bytes) -> str | None:
        """Calls SES; returns the id of the message, or None if SES throttled the call."""
        from botocore.exceptions import (
            ClientError,
            ConnectTimeoutError,
            EndpointConnectionError,
            HTTPClientError,
        )

        name = self.configuration_set
        configuration_set = {} if name is None else {"ConfigurationSetName": name}
        try:
            answer = self.ses.send_raw_email(
                Source=self.stationery.from_header,
                Destinations=[recipient],
                RawMessage={"Data": raw},
                **configuration_set,
            )
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            # No connection, so SES did not get the e-mail.
            self.idempotency.release(claim)
            raise TransientError(f"SES cannot be reached: {error}") from error
        except HTTPClientError as error:
            # The connection ended without an answer, or the answer is late.
            self.idempotency.abandon(claim)
            raise _unknown(event_id) from error
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                self.idempotency.abandon(claim)
                metrics.record(Metric.EMAILS, outcome="unknown")
                raise _unknown(event_id) from error
            of_the_day = _QUOTA_OF_THE_DAY in str(error)
            if error_code(error) in _THROTTLED and not of_the_day:
                return None
            self.idempotency.release(claim)
            if of_the_day:
                raise PostponedError(
                    f"SES sends no more e-mails today: {error}", DELAY_SECONDS_MAX
                ) from error
            if error_code(error) in _REFUSED:
                metrics.record(Metric.EMAILS, outcome="refused")
                raise PermanentError(f"SES refuses the e-mail: {error}") from error
            raise
        return str(answer["MessageId"])


def _unknown(event_id: str) -> DeliveryUnknownError:
    return DeliveryUnknownError(
        f"an earlier attempt to send the e-mail for event {event_id} has an unknown outcome; look "
        "for the e-mail in the mail log, and replay this dead letter if it was not sent"
    )
