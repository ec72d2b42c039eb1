"""Tells a customer by e-mail what became of a photo."""

import os
from dataclasses import dataclass

from services.mail.notify import ImageMailer
from services.platform.clients import client
from services.platform.configuration import read, variable
from services.platform.idempotency import IdempotencyStore
from services.platform.queue import queue_function


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment."""

    renditions_bucket: str = variable("RENDITIONS_BUCKET", help="bucket of the renditions")
    idempotency_table: str = variable("IDEMPOTENCY_TABLE", help="table of the claims")
    sender: str = variable("MAIL_SENDER", help="From address, verified with SES")
    # Longer than one invocation may take, so that no living owner outlives its claim.
    lease_seconds: float = variable("MAIL_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than SQS keeps a message (14 days at most).
    keep_seconds: float = variable("MAIL_KEEP_SECONDS", default=15 * 24 * 3600.0, minimum=60)


configuration = read(Configuration, os.environ)
handler = queue_function(
    ImageMailer(
        s3=client("s3"),
        ses=client("ses"),
        idempotency=IdempotencyStore(
            client("dynamodb"),
            configuration.idempotency_table,
            configuration.lease_seconds,
            configuration.keep_seconds,
        ),
        renditions_bucket=configuration.renditions_bucket,
        sender=configuration.sender,
    ).handle
)
