"""Settings of the functions of webhooks."""

from __future__ import annotations

from dataclasses import dataclass

from services.platform.configuration import variable
from services.platform.idempotency import IdempotencyConfiguration
from services.webhooks.addresses import AddressPolicy
from services.webhooks.delivery import TIMEOUT_SECONDS, Caller
from services.webhooks.model import RETRY_SECONDS


@dataclass(frozen=True)
class WebhooksConfiguration:
    """Environment variables of a function that reads or writes endpoints."""

    webhooks_table: str = variable("WEBHOOKS_TABLE", help="table of the webhooks")


@dataclass(frozen=True)
class CallConfiguration:
    """Environment variables of a function that resolves or calls endpoints."""

    loopback: bool = variable(
        "WEBHOOK_LOOPBACK",
        default=False,
        help="also allows loopback addresses, and http; for a lab on one machine",
    )
    timeout_seconds: float = variable(
        "WEBHOOK_TIMEOUT_SECONDS", default=TIMEOUT_SECONDS, minimum=0.1, maximum=15
    )

    @property
    def policy(self) -> AddressPolicy:
        """Which URLs are allowed."""
        return AddressPolicy(self.loopback)

    @property
    def caller(self) -> Caller:
        """What calls endpoints."""
        return Caller(self.policy, self.timeout_seconds)


@dataclass(frozen=True)
class DeliveryConfiguration(IdempotencyConfiguration):
    """Environment variables of send-webhook."""

    lease_seconds: float = variable("WEBHOOK_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than SQS keeps a message (14 days at most).
    keep_seconds: float = variable("WEBHOOK_KEEP_SECONDS", default=15 * 24 * 3600.0, minimum=60)
    secret_arn: str = variable(
        "WEBHOOKS_SECRET_ARN", help='ARN of a secret {"endpoints": [...]}, the deployment\'s own'
    )
    retry_seconds: tuple[int, ...] = variable(
        "WEBHOOK_RETRY_SECONDS",
        default=RETRY_SECONDS,
        help="pauses after failed attempts, by commas",
    )
    # Set by the host of the function.
    queue_url: str = variable("QUEUE_URL", default="", help="URL of the function's own queue")
