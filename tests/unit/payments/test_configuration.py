"""Settings and secret of the payment provider, and the gateways built from them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.payments.configuration import (
    PaymentsConfiguration,
    PaymentsSecret,
    Provider,
    read_secret,
)
from services.payments.factory import LazyGateway, make_gateway
from services.payments.sandbox_gateway import SandboxGateway
from services.payments.stripe_gateway import StripeGateway
from services.platform.configuration import read
from services.platform.errors import ConfigurationError, TransientError
from tests.support.loopback import Reply, scripted

ARN = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:payments"
API_KEY, WEBHOOK_SECRET = "sk_test_of_the_lab", "whsec_of_the_lab"
SECRET = {"api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET}
ENVIRONMENT = {"PAYMENTS_SECRET_ARN": ARN}


class Secrets:
    """A fake Secrets Manager client that returns or raises its outcomes in turn."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def get_secret_value(self, SecretId: str) -> Any:  # noqa: N803  botocore's name
        assert SecretId == ARN
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def holding(value: object) -> Secrets:
    return Secrets({"SecretString": value if isinstance(value, str) else json.dumps(value)})


def test_payments_configuration_minimal_gets_defaults() -> None:
    found = read(PaymentsConfiguration, ENVIRONMENT)
    assert found == PaymentsConfiguration(ARN, Provider.SANDBOX, None, 10.0)


def test_payments_configuration_complete_is_read() -> None:
    found = read(
        PaymentsConfiguration,
        ENVIRONMENT
        | {
            "PAYMENTS_PROVIDER": "Stripe",
            "PAYMENTS_URL": "https://stripe.example:8443",
            "PAYMENTS_TIMEOUT_SECONDS": "2.5",
        },
    )
    assert found == PaymentsConfiguration(ARN, Provider.STRIPE, "https://stripe.example:8443", 2.5)


@pytest.mark.parametrize(
    ("environment", "mistake"),
    [
        ({"PAYMENTS_SECRET_ARN": ""}, "PAYMENTS_SECRET_ARN is not set"),
        ({"PAYMENTS_PROVIDER": "paypal"}, "must be one of sandbox, stripe, got 'paypal'"),
        ({"PAYMENTS_TIMEOUT_SECONDS": "soon"}, "PAYMENTS_TIMEOUT_SECONDS must be a number"),
        ({"PAYMENTS_TIMEOUT_SECONDS": "0"}, "at least 0.1 and at most 80"),
        ({"PAYMENTS_TIMEOUT_SECONDS": "81"}, "at least 0.1 and at most 80"),
        ({"PAYMENTS_URL": "127.0.0.1:8090"}, "PAYMENTS_URL must be http://HOST, got"),
        ({"PAYMENTS_URL": "localhost:8090"}, "PAYMENTS_URL must be http://HOST"),
        ({"PAYMENTS_URL": "http://"}, "PAYMENTS_URL must be http://HOST"),
        ({"PAYMENTS_URL": "http://lab:port"}, "PAYMENTS_URL must be http://HOST"),
        ({"PAYMENTS_URL": "http://lab:99999"}, "PAYMENTS_URL must be http://HOST"),
        ({"PAYMENTS_URL": "https://lab:8090"}, "PAYMENTS_URL must be http://HOST"),
        (
            {"PAYMENTS_PROVIDER": "stripe", "PAYMENTS_URL": "ftp://lab"},
            "PAYMENTS_URL must be https://HOST or http://HOST, got 'ftp://lab'",
        ),
    ],
)  # fmt: skip
def test_payments_configuration_invalid_value_is_named(
    environment: dict[str, str], mistake: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(PaymentsConfiguration, ENVIRONMENT | environment)
    (only,) = caught.value.mistakes
    assert mistake in only


def test_payments_configuration_reports_all_mistakes() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(PaymentsConfiguration, {"PAYMENTS_PROVIDER": "x", "PAYMENTS_TIMEOUT_SECONDS": "-1"})
    assert len(caught.value.mistakes) == 3


def test_read_secret_valid_is_returned() -> None:
    found = read_secret(holding(SECRET | {"of": "whom"}), ARN)
    assert found == PaymentsSecret(API_KEY, WEBHOOK_SECRET)


@pytest.mark.parametrize(
    "value",
    [
        "", "no JSON " + API_KEY, [], [API_KEY, WEBHOOK_SECRET], API_KEY, None, {},
        {"api_key": API_KEY}, {"webhook_secret": WEBHOOK_SECRET},
        SECRET | {"webhook_secret": ""}, SECRET | {"webhook_secret": " "},
        SECRET | {"webhook_secret": None}, SECRET | {"webhook_secret": [WEBHOOK_SECRET]},
        SECRET | {"api_key": ""}, SECRET | {"api_key": None}, SECRET | {"api_key": 7},
    ],
)  # fmt: skip
def test_read_secret_invalid_raises_without_showing_it(value: object) -> None:
    """Anyone could sign with an empty webhook secret."""
    with pytest.raises(ConfigurationError, match="the secret must be") as caught:
        read_secret(holding(value), ARN)
    shown = repr(caught.value) + repr(caught.value.__cause__)
    assert API_KEY not in shown
    assert WEBHOOK_SECRET not in shown


def test_read_secret_binary_raises() -> None:
    with pytest.raises(ConfigurationError):
        read_secret(Secrets({"SecretBinary": json.dumps(SECRET).encode()}), ARN)


AWAY = EndpointConnectionError(endpoint_url="https://secretsmanager.example")


def client_error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetSecretValue",
    )


@pytest.mark.parametrize(
    "error",
    [AWAY, client_error("InternalServiceError", 500), client_error("ThrottlingException", 400)],
)
def test_read_secret_outage_raises_transient_error(error: Exception) -> None:
    with pytest.raises(TransientError):
        read_secret(Secrets(error), ARN)


def test_read_secret_access_denied_is_not_transient() -> None:
    with pytest.raises(ClientError):
        read_secret(Secrets(client_error("AccessDeniedException", 400)), ARN)


@pytest.mark.parametrize(
    ("provider", "url", "kind"),
    [
        (Provider.SANDBOX, "http://lab:8090", SandboxGateway),
        (Provider.STRIPE, None, StripeGateway),
        (Provider.STRIPE, "http://lab:8420", StripeGateway),
    ],
)
def test_make_gateway_returns_the_providers_gateway(
    provider: Provider, url: str | None, kind: type
) -> None:
    gateway = make_gateway(
        PaymentsConfiguration(ARN, provider, url, 3.0), PaymentsSecret(API_KEY, WEBHOOK_SECRET)
    )
    assert type(gateway) is kind
    assert vars(gateway) == {"api_key": API_KEY, "timeout_seconds": 3.0, "url": url}


def test_make_gateway_sandbox_without_url_raises() -> None:
    with pytest.raises(ConfigurationError, match="PAYMENTS_URL"):
        make_gateway(
            PaymentsConfiguration(ARN, Provider.SANDBOX, None, 3.0), PaymentsSecret("k", "w")
        )


@pytest.mark.parametrize("provider", list(Provider))
def test_gateway_repr_shows_no_secret(provider: Provider) -> None:
    secret = PaymentsSecret(API_KEY, WEBHOOK_SECRET)
    configuration = PaymentsConfiguration(ARN, provider, "http://lab:8090", 3.0)
    lazy = LazyGateway(configuration, holding(SECRET))
    lazy.get()
    shown = repr([secret, lazy, make_gateway(configuration, secret)])
    assert API_KEY not in shown
    assert WEBHOOK_SECRET not in shown


def test_lazy_gateway_is_built_once_at_first_use() -> None:
    configuration = PaymentsConfiguration(ARN, Provider.SANDBOX, "http://lab:8090", 3.0)
    lazy = LazyGateway(configuration, Secrets(AWAY, {"SecretString": json.dumps(SECRET)}))
    with pytest.raises(TransientError):
        lazy.get()
    first = lazy.get()
    assert lazy.get() is first


def test_sandbox_gateway_keeps_the_path_of_its_url() -> None:
    with scripted(Reply(201, {"id": "pay_1"})) as provider:
        configuration = PaymentsConfiguration(ARN, Provider.SANDBOX, provider.url + "/bank", 3.0)
        gateway = make_gateway(configuration, PaymentsSecret(API_KEY, WEBHOOK_SECRET))
        gateway.open("order", 1, "EUR", "sandbox-ok", "key")
    assert provider.paths() == ["POST /bank/payments"]
