"""Settings and secret of the payment provider."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from services.platform.aws.errors import is_transient
from services.platform.configuration import variable
from services.platform.errors import ConfigurationError, TransientError


class Provider(StrEnum):
    """`sandbox` is the project's own provider: services/local/payment_sandbox."""

    SANDBOX = "sandbox"
    STRIPE = "stripe"


# The sandbox runs on the same host or network and has no certificate.
_SCHEMES = {Provider.SANDBOX: ("http",), Provider.STRIPE: ("https", "http")}


@dataclass(frozen=True)
class PaymentsConfiguration:
    """Environment variables of a function that calls the payment provider."""

    secret_arn: str = variable(
        "PAYMENTS_SECRET_ARN", help='ARN of a secret {"api_key": ..., "webhook_secret": ...}'
    )
    provider: Provider = variable("PAYMENTS_PROVIDER", default=Provider.SANDBOX)
    url: str | None = variable(
        "PAYMENTS_URL", default=None, help="the provider's API; default: Stripe's own"
    )
    # Of one request. A charge takes two; a lease should be longer than both.
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
    """The API key, and the secret that the provider signs webhooks with. Neither may be empty:
    anyone could sign with an empty secret."""

    api_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


def read_secret(manager: Any, arn: str) -> PaymentsSecret:
    """Reads the provider's secret through a Secrets Manager client.

    Raises TransientError while Secrets Manager is unavailable, ConfigurationError for a secret of
    another form.
    """
    try:
        answer = manager.get_secret_value(SecretId=arn)
    except Exception as error:
        if is_transient(error):
            raise TransientError("cannot read the payment provider's secret") from error
        raise
    try:
        values = json.loads(answer["SecretString"])
        found = [values["api_key"], values["webhook_secret"]]
    except (ValueError, KeyError, TypeError):
        found = []
    if not found or not all(isinstance(text, str) and text.strip() for text in found):
        # Without the cause: its message may contain the secret.
        raise ConfigurationError(
            arn,
            ['the secret must be {"api_key": ..., "webhook_secret": ...} with non-empty strings'],
        )
    return PaymentsSecret(*found)


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)
