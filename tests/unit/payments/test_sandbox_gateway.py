"""The sandbox gateway against scripted responses.

tests/integration/payments runs it against the real sandbox.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from services.payments.model import Charge, PaymentDeclined, PaymentVoided, Refund
from services.payments.sandbox_gateway import SandboxGateway
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from tests.support.loopback import Reply, scripted, serving

KEY = "payment#order-1"
CHARGE = Charge("pay_1", 1995, "EUR")
PAYMENT = {"id": "pay_1", "amount_minor": 1995, "currency": "EUR", "refund_id": "refund_1"}
Call = Callable[[SandboxGateway], Any]
OPEN: Call = lambda gateway: gateway.open("order-1", 1995, "EUR", "sandbox-ok", KEY)  # noqa: E731
CONFIRM: Call = lambda gateway: gateway.confirm("pay_1", KEY)  # noqa: E731
CANCEL: Call = lambda gateway: gateway.cancel("pay_1")  # noqa: E731
REFUND: Call = lambda gateway: gateway.refund(CHARGE, KEY)  # noqa: E731
CALLS = pytest.mark.parametrize("call", [OPEN, CONFIRM, CANCEL, REFUND])


def ask(call: Call, *replies: Reply | None) -> Any:
    with scripted(*replies) as provider:
        return call(SandboxGateway(provider.url, "key-of-the-lab", timeout_seconds=5))


@pytest.mark.parametrize(
    ("call", "path", "body", "key"),
    [
        (
            OPEN,
            "/payments",
            {
                "order_id": "order-1",
                "amount_minor": 1995,
                "currency": "EUR",
                "payment_method": "sandbox-ok",
            },
            KEY,
        ),
        (CONFIRM, "/payments/pay_1/confirm", {}, KEY),
        (CANCEL, "/payments/pay_1/cancel", {}, None),
        (REFUND, "/payments/pay_1/refund", {}, KEY),
    ],
)
def test_request_has_path_body_and_key(
    call: Call, path: str, body: object, key: str | None
) -> None:
    with scripted(Reply(200, PAYMENT)) as provider:
        call(SandboxGateway(provider.url, "key-of-the-lab", timeout_seconds=5))
    (request,) = provider.received
    assert (request.method, request.path, json.loads(request.body)) == ("POST", path, body)
    assert request.headers["authorization"] == "Bearer key-of-the-lab"
    assert request.headers.get("idempotency-key") == key


@pytest.mark.parametrize(
    ("call", "reply", "result"),
    [
        (OPEN, Reply(201, PAYMENT), "pay_1"),
        (OPEN, Reply(200, PAYMENT), "pay_1"),
        (CONFIRM, Reply(200, PAYMENT), CHARGE),
        (CANCEL, Reply(200, PAYMENT), None),
        (CANCEL, Reply(409, PAYMENT), CHARGE),
        (REFUND, Reply(200, PAYMENT), Refund("refund_1", "pay_1")),
    ],
)
def test_response_is_parsed(call: Call, reply: Reply, result: object) -> None:
    assert ask(call, reply) == result


@pytest.mark.parametrize("call", [OPEN, CONFIRM])
def test_response_402_raises_declined(call: Call) -> None:
    with pytest.raises(PaymentDeclined) as declined:
        ask(call, Reply(402, {"code": "card_declined"}))
    assert declined.value.reason == "card_declined"


def test_confirm_cancelled_payment_raises_voided() -> None:
    with pytest.raises(PaymentVoided):
        ask(CONFIRM, Reply(409, {"code": "cancelled"}))


@CALLS
@pytest.mark.parametrize(
    "reply",
    [
        *[Reply(status, {"code": "trouble"}) for status in (408, 425, 429, 500, 502, 503, 504)],
        Reply(200, b""),
        Reply(200, b"<html>"),
        Reply(502, b"<html>"),
        Reply(200, b"\xff"),
        None,
    ],
)
def test_response_unknown_outcome_raises_transient_error(call: Call, reply: Reply | None) -> None:
    with pytest.raises(TransientError):
        ask(call, reply)


@CALLS
def test_connection_refused_raises_transient_error(call: Call) -> None:
    with serving(lambda _: None) as gone:
        pass
    with pytest.raises(TransientError, match="no response"):
        call(SandboxGateway(gone.url, "key", timeout_seconds=5))


@CALLS
def test_response_after_the_timeout_raises_transient_error(call: Call) -> None:
    def late(_: object) -> Reply:
        time.sleep(0.5)
        return Reply(200, PAYMENT)

    with serving(late) as provider:
        asked_at = time.monotonic()
        with pytest.raises(TransientError, match="no response"):
            call(SandboxGateway(provider.url, "key", timeout_seconds=0.1))
        assert time.monotonic() - asked_at < 0.4


@CALLS
@pytest.mark.parametrize("status", [401, 403])
def test_wrong_api_key_raises_configuration_error_without_showing_it(
    call: Call, status: int
) -> None:
    with pytest.raises(ConfigurationError, match="API key") as caught:
        ask(call, Reply(status, {"code": "wrong_api_key"}))
    assert "key-of-the-lab" not in str(caught.value)


@CALLS
@pytest.mark.parametrize("status", [301, 400, 404, 413])
def test_response_refusal_raises_permanent_error(call: Call, status: int) -> None:
    with pytest.raises(PermanentError, match=f"refused the request: {status}"):
        ask(call, Reply(status, {"code": "no_such_payment"}))
