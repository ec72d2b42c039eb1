"""Sends a customer the receipt for a payment by e-mail."""

import os
from dataclasses import dataclass

from services.mail.orders import OrderMailer
from services.mail.sending import Outbox
from services.orders.store import Orders
from services.platform.clients import client
from services.platform.configuration import read_all, variable
from services.platform.database import Database, DatabaseConfiguration
from services.platform.idempotency import IdempotencyStore
from services.platform.queue import queue_function


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside Postgres and the provider."""

    idempotency_table: str = variable("IDEMPOTENCY_TABLE", help="table of the claims")
    sender: str = variable("MAIL_SENDER", help="From address, verified with SES")
    # Longer than one invocation may take, so that no living owner outlives its claim.
    lease_seconds: float = variable("MAIL_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than SQS keeps a message (14 days at most).
    keep_seconds: float = variable("MAIL_KEEP_SECONDS", default=15 * 24 * 3600.0, minimum=60)


configuration, of_database = read_all(os.environ, Configuration, DatabaseConfiguration)
orders = Orders(Database(of_database))
mailer = OrderMailer(
    orders,
    Outbox(
        client("ses"),
        IdempotencyStore(
            client("dynamodb"),
            configuration.idempotency_table,
            configuration.lease_seconds,
            configuration.keep_seconds,
        ),
        configuration.sender,
    ),
)
handler = queue_function(mailer.handle)
