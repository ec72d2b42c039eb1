"""Builds gateways and `Charging` from a function's environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.payments.charging import Charging
from services.payments.configuration import (
    PaymentsConfiguration,
    PaymentsSecret,
    Provider,
    read_secret,
)
from services.payments.model import PaymentGateway
from services.platform.configuration import variable
from services.platform.errors import ConfigurationError
from services.platform.idempotency import IdempotencyConfiguration


@dataclass(frozen=True)
class ChargingConfiguration(IdempotencyConfiguration):
    """The idempotency settings of charges."""

    lease_seconds: float = variable("PAYMENTS_LEASE_SECONDS", default=45.0, minimum=1)
    # Longer than the longest workflow of an order, retries included.
    keep_seconds: float = variable("PAYMENTS_KEEP_SECONDS", default=90 * 24 * 3600.0, minimum=60)


def make_gateway(configuration: PaymentsConfiguration, secret: PaymentsSecret) -> PaymentGateway:
    """The configured provider's gateway. Raises ConfigurationError for a sandbox without a URL."""
    if configuration.provider is Provider.STRIPE:
        from services.payments.stripe_gateway import StripeGateway

        return StripeGateway(secret.api_key, configuration.timeout_seconds, configuration.url)
    if configuration.url is None:
        raise ConfigurationError("PAYMENTS_URL", ["the sandbox provider needs a URL"])
    from services.payments.sandbox_gateway import SandboxGateway

    return SandboxGateway(configuration.url, secret.api_key, configuration.timeout_seconds)


@dataclass
class LazyGateway:
    """Builds the gateway at the first use, so that a cold start waits neither for the secret nor
    for Stripe's SDK."""

    configuration: PaymentsConfiguration
    secrets: Any
    _gateway: PaymentGateway | None = field(default=None, repr=False)

    def get(self) -> PaymentGateway:
        """The gateway. Raises the errors of `read_secret`; the next call then tries again."""
        if self._gateway is None:
            secret = read_secret(self.secrets, self.configuration.secret_arn)
            self._gateway = make_gateway(self.configuration, secret)
        return self._gateway


def lazy_charging(
    configuration: ChargingConfiguration,
    payments: PaymentsConfiguration,
    dynamodb: Any,
    secrets: Any,
) -> Callable[[], Charging]:
    """A function that returns Charging, through clients of DynamoDB and Secrets Manager.

    Its first call fetches the provider's secret and raises the errors of `LazyGateway.get`.
    """
    claims = configuration.store(dynamodb)
    gateway = LazyGateway(payments, secrets)
    return lambda: Charging(gateway.get(), claims)
