"""Configuration of the functions that send e-mails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.mail.letter import Stationery
from services.mail.outbox import Outbox
from services.mail.recipients import Recipients
from services.platform.aws.clients import client
from services.platform.configuration import variable
from services.platform.idempotency import IdempotencyConfiguration


@dataclass(frozen=True)
class MailConfiguration(IdempotencyConfiguration):
    """Environment variables of the functions that send e-mails."""

    lease_seconds: float = variable("MAIL_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than SQS keeps a message (14 days at most).
    keep_seconds: float = variable("MAIL_KEEP_SECONDS", default=15 * 24 * 3600.0, minimum=60)
    sender: str = variable("MAIL_SENDER", help="From address, verified with SES")
    reply_to: str | None = variable("MAIL_REPLY_TO", default=None, help="where answers go")
    imprint: str | None = variable(
        "MAIL_IMPRINT", default=None, help="who sends the e-mails, in one line"
    )
    site_url: str | None = variable(
        "MAIL_SITE_URL", default=None, help="address of the website with photos and orders"
    )
    api_url: str | None = variable(
        "MAIL_API_URL", default=None, help="address of the API, for unsubscribe links"
    )
    recipients_table: str = variable("RECIPIENTS_TABLE", help="table of the recipients")
    photo_emails_per_day: int = variable(
        "MAIL_PHOTOS_PER_DAY",
        default=20,
        minimum=0,
        help="e-mails about single photos to one recipient; more photos share an e-mail; 0: no "
        "limit",
    )
    configuration_set: str | None = variable(
        "MAIL_CONFIGURATION_SET", default=None, help="configuration set of SES"
    )

    @property
    def stationery(self) -> Stationery:
        """The configured parts of every e-mail."""
        return Stationery(self.sender, self.reply_to, self.imprint)


def make_outbox(configuration: MailConfiguration, ses: Any = None, dynamodb: Any = None) -> Outbox:
    """The outbox for a configuration. Clients default to those of the process; the SES client makes
    one attempt, because a retry after a lost response sends the e-mail twice."""
    dynamodb = dynamodb or client("dynamodb")
    return Outbox(
        ses or client("ses", attempts=1),
        configuration.store(dynamodb),
        Recipients(dynamodb, configuration.recipients_table),
        configuration.stationery,
        _base(configuration.site_url),
        _base(configuration.api_url),
        configuration.configuration_set,
    )


def _base(url: str | None) -> str | None:
    return url.rstrip("/") if url else None
