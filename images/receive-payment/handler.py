"""Takes the payment provider's notices."""

import functools
import os
from dataclasses import dataclass

from services.orders.api import RECEIVE_PAYMENT
from services.orders.receive_payment import Notices
from services.payments.configuration import PaymentsConfiguration, read_secret
from services.payments.webhooks import Webhook
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.http import http_function
from services.platform.idempotency import IdempotencyStore


@dataclass(frozen=True)
class Configuration:
    """What this function reads from its environment, beside the provider's."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of the orders' events")
    idempotency_table: str = variable("IDEMPOTENCY_TABLE", help="table of the claims")
    # Longer than one invocation may take, so that no living owner outlives its claim.
    lease_seconds: float = variable("NOTICES_LEASE_SECONDS", default=25.0, minimum=1)
    # Longer than a provider goes on sending a notice: https://docs.stripe.com/webhooks#retries
    keep_seconds: float = variable("NOTICES_KEEP_SECONDS", default=7 * 24 * 3600.0, minimum=60)


configuration, payments = read_all(os.environ, Configuration, PaymentsConfiguration)


@functools.cache
def webhook() -> Webhook:
    """Fetched at the first notice; an outage is not kept."""
    secret = read_secret(client("secretsmanager"), payments.secret_arn)
    return Webhook(payments.provider, secret.webhook_secret)


handler = http_function(
    RECEIVE_PAYMENT,
    Notices(
        webhook,
        IdempotencyStore(
            client("dynamodb"),
            configuration.idempotency_table,
            configuration.lease_seconds,
            configuration.keep_seconds,
        ),
        client("sns"),
        configuration.topic_arn,
    ).take,
)
