"""Receives the payment provider's webhooks."""

import functools
import os
from dataclasses import dataclass

from services.orders.api import RECEIVE_PAYMENT
from services.orders.receive_payment import ReceivePayment
from services.payments.configuration import PaymentsConfiguration, read_secret
from services.payments.webhooks import WebhookReader
from services.platform.aws.clients import client
from services.platform.configuration import read_all, variable
from services.platform.functions.http import http_function
from services.platform.idempotency import IdempotencyConfiguration


@dataclass(frozen=True)
class NoticesConfiguration(IdempotencyConfiguration):
    """The idempotency settings of webhook events."""

    lease_seconds: float = variable("NOTICES_LEASE_SECONDS", default=25.0, minimum=1)
    # Longer than a provider repeats a webhook: https://docs.stripe.com/webhooks#retries
    keep_seconds: float = variable("NOTICES_KEEP_SECONDS", default=7 * 24 * 3600.0, minimum=60)


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function alone."""

    topic_arn: str = variable("ORDER_EVENTS_TOPIC_ARN", help="topic of order events")


configuration, of_notices, of_payments = read_all(
    os.environ, Configuration, NoticesConfiguration, PaymentsConfiguration
)


@functools.cache
def webhook_reader() -> WebhookReader:
    """Fetches the secret at the first request. A failed call is not cached."""
    secret = read_secret(client("secretsmanager"), of_payments.secret_arn)
    return WebhookReader(of_payments.provider, secret.webhook_secret)


handler = http_function(
    RECEIVE_PAYMENT,
    ReceivePayment(
        webhook_reader,
        of_notices.store(client("dynamodb")),
        client("sns"),
        configuration.topic_arn,
    ).handle,
)
