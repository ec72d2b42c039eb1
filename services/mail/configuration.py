"""What a function that sends e-mails reads from its environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.mail.outbox import Outbox
from services.platform.configuration import variable
from services.platform.idempotency import IdempotencyStore


@dataclass(frozen=True)
class MailConfiguration:
    """From whom e-mails come, and how it is kept which were sent."""

    idempotency_table: str = variable("IDEMPOTENCY_TABLE", help="table of the claims")
    sender: str = variable("MAIL_SENDER", help="From address, verified with SES")
    # Longer than one invocation may take, so that no living owner outlives its claim.
    lease_seconds: float = variable("MAIL_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than SQS keeps a message (14 days at most).
    keep_seconds: float = variable("MAIL_KEEP_SECONDS", default=15 * 24 * 3600.0, minimum=60)


def make_outbox(configuration: MailConfiguration, ses: Any, dynamodb: Any) -> Outbox:
    """The outbox that the configuration describes, through clients of SES and DynamoDB."""
    claims = IdempotencyStore(
        dynamodb,
        configuration.idempotency_table,
        configuration.lease_seconds,
        configuration.keep_seconds,
    )
    return Outbox(ses, claims, configuration.sender)
