"""Which provider takes the money, and how it is reached."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from services.payments.gateway import PaymentGateway
from services.platform.aws.errors import is_transient
from services.platform.configuration import variable
from services.platform.errors import ConfigurationError, TransientError


class Provider(StrEnum):
    """`sandbox` is the lab's own: services/local/payment_sandbox."""

    SANDBOX = "sandbox"
    STRIPE = "stripe"


# The sandbox is on this machine or beside it, and has no certificate.
_SCHEMES = {Provider.SANDBOX: ("http",), Provider.STRIPE: ("https", "http")}


@dataclass(frozen=True)
class PaymentsConfiguration:
    """What a function that deals with payments reads from its environment."""

    secret_arn: str = variable(
        "PAYMENTS_SECRET_ARN", help='ARN of a secret {"api_key": ..., "webhook_secret": ...}'
    )
    provider: Provider = variable("PAYMENTS_PROVIDER", default=Provider.SANDBOX)
    url: str | None = variable(
        "PAYMENTS_URL", default=None, help="the provider's API; Stripe's own without it"
    )
    # Of one request. A charge takes two, and a lease should be longer than both.
    timeout_seconds: float = variable(
        "PAYMENTS_TIMEOUT_SECONDS", default=10.0, minimum=0.1, maximum=80
    )

    def __post_init__(self) -> None:
        if self.url is not None and not _is_address(self.url, _SCHEMES[self.provider]):
            expected = " or ".join(f"{scheme}://HOST" for scheme in _SCHEMES[self.provider])
            raise ConfigurationError(
                type(self).__name__, [f"PAYMENTS_URL must be {expected}, got {self.url!r}"]
            )


@dataclass(frozen=True)
class PaymentsSecret:
    """What the provider knows us by, and what it signs with. Neither may be empty: anybody could
    sign with that."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


def read_secret(manager: Any, arn: str) -> PaymentsSecret:
    """The provider's secret, from a Secrets Manager client. Raises TransientError when that is
    away, ConfigurationError when the secret is of another form."""
    try:
        answer = manager.get_secret_value(SecretId=arn)
    except Exception as error:
        if is_transient(error):
            raise TransientError("the secret of the payments cannot be read") from error
        raise
    try:
        values = json.loads(answer["SecretString"])
        found = [values["api_key"], values["webhook_secret"]]
    except (ValueError, KeyError, TypeError):
        found = []
    if not found or not all(isinstance(text, str) and text.strip() for text in found):
        # Without the cause: its message may hold the secret.
        raise ConfigurationError(
            arn, ['expected a secret {"api_key": ..., "webhook_secret": ...}, got something else']
        )
    return PaymentsSecret(*found)


def make_gateway(configuration: PaymentsConfiguration, secret: PaymentsSecret) -> PaymentGateway:
    """The configured provider's. Raises ConfigurationError when it has no address."""
    if configuration.provider is Provider.STRIPE:
        from services.payments.stripe_gateway import StripeGateway

        return StripeGateway(secret.api_key, configuration.timeout_seconds, configuration.url)
    if configuration.url is None:
        raise ConfigurationError("PAYMENTS_URL", ["expected the sandbox provider's URL, got none"])
    from services.payments.sandbox_gateway import SandboxGateway

    return SandboxGateway(configuration.url, secret.api_key, configuration.timeout_seconds)


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a ValueError if it is none
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


@dataclass
class LazyGateway:
    """The configured provider, whose secret and SDK are fetched at the first use, so that a cold
    start does not wait for them."""

    configuration: PaymentsConfiguration
    secrets: Any
    _gateway: PaymentGateway | None = field(default=None, repr=False)

    def get(self) -> PaymentGateway:
        """The gateway. Raises as `read_secret` does; then the next call tries again."""
        if self._gateway is None:
            secret = read_secret(self.secrets, self.configuration.secret_arn)
            self._gateway = make_gateway(self.configuration, secret)
        return self._gateway
