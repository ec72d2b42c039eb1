"""Configuration of the functions that send e-mails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.mail.outbox import Outbox
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


def make_outbox(configuration: MailConfiguration, ses: Any = None, dynamodb: Any = None) -> Outbox:
    """The outbox for a configuration. Clients default to those of the process; the SES client makes
    one attempt, because a retry after a lost response sends the e-mail twice."""
    claims = configuration.store(dynamodb or client("dynamodb"))
    return Outbox(ses or client("ses", attempts=1), claims, configuration.sender)
