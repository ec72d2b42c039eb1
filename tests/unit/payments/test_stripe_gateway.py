"""The Stripe gateway with the real SDK against scripted responses, among them some that localstripe
never sends. tests/integration/payments uses localstripe."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from services.payments.model import Charge, PaymentDeclined, PaymentVoided, Refund
from services.payments.stripe_gateway import StripeGateway
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from tests.support.loopback import Reply, scripted, serving

KEY = "payment#order-1"
API_KEY = "sk_test_of_the_lab"
CHARGE = Charge("pi_1", 1995, "EUR")
Call = Callable[[StripeGateway], Any]
OPEN: Call = lambda gateway: gateway.open("order-1", 1995, "EUR", "pm_1", KEY)  # noqa: E731
CONFIRM: Call = lambda gateway: gateway.confirm("pi_1", KEY)  # noqa: E731
CANCEL: Call = lambda gateway: gateway.cancel("pi_1")  # noqa: E731
REFUND: Call = lambda gateway: gateway.refund(CHARGE, KEY)  # noqa: E731
CALLS = pytest.mark.parametrize("call", [OPEN, CONFIRM, CANCEL, REFUND])

POST_INTENTS = "POST /v1/payment_intents"
GET_INTENT = "GET /v1/payment_intents/pi_1"
POST_INTENT = "POST /v1/payment_intents/pi_1"
POST_CONFIRM = "POST /v1/payment_intents/pi_1/confirm"
POST_CANCEL = "POST /v1/payment_intents/pi_1/cancel"
DECLINE = [POST_INTENT, POST_CANCEL]


def intent(status: str, **more: object) -> Reply:
    return Reply(
        200,
        {
            "id": "pi_1",
            "object": "payment_intent",
            "status": status,
            "amount": 1995,
            "currency": "eur",
            "metadata": {"order_id": "order-1"},
            "last_payment_error": None,
        }
        | more,
    )


def refunds(*found: tuple[str, str]) -> Reply:
    data = [{"id": id_, "object": "refund", "status": status} for id_, status in found]
    return Reply(200, {"object": "list", "data": data, "has_more": False, "url": "/v1/refunds"})


def error(status: int, type_: str, code: str | None = None) -> Reply:
    return Reply(status, {"error": {"type": type_, "code": code, "message": "No."}})


NOT_NOW = error(400, "invalid_request_error", "payment_intent_unexpected_state")
NO_CARD = error(402, "card_error", "card_declined")
TROUBLE = error(500, "api_error")
BUSY = error(409, "idempotency_error")
FUNDS = {"last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"}}


def ask(call: Call, *replies: Reply | None) -> tuple[Any, list[str]]:
    """The result or exception of `call` for these responses, and the paths it requested."""
    with scripted(*replies) as stripe:
        gateway = StripeGateway(API_KEY, timeout_seconds=5, url=stripe.url)
        try:
            return call(gateway), stripe.paths()
        except (TransientError, PermanentError) as error:
            return error, stripe.paths()


def test_requests_have_path_form_and_key() -> None:
    with scripted(
        intent("requires_confirmation"), intent("succeeded"), refunds(), Reply(200, {"id": "re_1"})
    ) as stripe:
        gateway = StripeGateway(API_KEY, timeout_seconds=5, url=stripe.url)
        assert (OPEN(gateway), CONFIRM(gateway)) == ("pi_1", CHARGE)
        assert REFUND(gateway) == Refund("re_1", "pi_1")
    opening, confirming, looking, refunding = stripe.received
    assert stripe.paths() == [
        POST_INTENTS, POST_CONFIRM, "GET /v1/refunds", "POST /v1/refunds",
    ]  # fmt: skip
    assert dict(parse_qsl(opening.body.decode())) == {
        "amount": "1995",
        "currency": "eur",
        "payment_method": "pm_1",
        "payment_method_types[0]": "card",
        "metadata[order_id]": "order-1",
    }
    assert dict(parse_qsl(refunding.body.decode())) == {
        "payment_intent": "pi_1",
        "metadata[key]": KEY,
    }
    for request in (opening, confirming, refunding):
        assert request.headers["idempotency-key"] == KEY
        assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert "payment_intent=pi_1" in looking.path


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error(404, "invalid_request_error", "resource_missing"), "unknown_payment_method"),
        (error(400, "invalid_request_error", "resource_missing"), "unknown_payment_method"),
        (error(402, "card_error", "expired_card"), "expired_card"),
        (error(402, "card_error"), "card_declined"),
    ],
)
def test_open_unknown_method_raises_declined(reply: Reply, reason: str) -> None:
    result, _ = ask(OPEN, reply)
    assert isinstance(result, PaymentDeclined)
    assert result.reason == reason


@pytest.mark.parametrize("code", ["amount_too_small", "invalid_currency", "parameter_unknown"])
def test_open_invalid_request_raises_permanent_error(code: str) -> None:
    result, _ = ask(OPEN, error(400, "invalid_request_error", code))
    assert type(result) is PermanentError


@pytest.mark.parametrize(
    ("replies", "asked", "result"),
    [
        ([intent("succeeded")], [POST_CONFIRM], CHARGE),
        # Charged by an earlier attempt.
        ([NOT_NOW, intent("succeeded")], [POST_CONFIRM, GET_INTENT], CHARGE),
        # Charged by another attempt in between.
        ([NO_CARD, intent("succeeded")], [POST_CONFIRM, GET_INTENT], CHARGE),
        # A concurrent request with the key; or an internal error of Stripe after the charge.
        ([BUSY, intent("succeeded")], [POST_CONFIRM, GET_INTENT], CHARGE),
        ([TROUBLE, intent("succeeded")], [POST_CONFIRM, GET_INTENT], CHARGE),
        # Declined, then charged by another attempt before the cancellation.
        (
            [NO_CARD, intent("requires_payment_method", **FUNDS), intent("succeeded"), NOT_NOW,
             intent("succeeded")],
            [POST_CONFIRM, GET_INTENT, *DECLINE, GET_INTENT],
            CHARGE,
        ),
    ],
)  # fmt: skip
def test_confirm_returns_the_charge(replies: list[Reply], asked: list[str], result: Charge) -> None:
    assert ask(CONFIRM, *replies) == (result, asked)


@pytest.mark.parametrize(
    ("replies", "asked", "reason"),
    [
        (
            [NO_CARD, intent("requires_payment_method", **FUNDS), intent("x"), intent("canceled")],
            [POST_CONFIRM, GET_INTENT, *DECLINE],
            "insufficient_funds",
        ),
        (
            [NO_CARD, intent("requires_payment_method"), intent("x"), intent("canceled")],
            [POST_CONFIRM, GET_INTENT, *DECLINE],
            "card_declined",
        ),
        # The bank requires authentication.
        (
            [intent("requires_action"), intent("x"), intent("canceled")],
            [POST_CONFIRM, *DECLINE],
            "authentication_required",
        ),
        # Another attempt cancelled it first.
        (
            [intent("requires_action"), NOT_NOW, NOT_NOW, intent("canceled")],
            [POST_CONFIRM, *DECLINE, GET_INTENT],
            "authentication_required",
        ),
        # Declined by an attempt that died before it returned.
        (
            [NOT_NOW, intent("canceled", **FUNDS)],
            [POST_CONFIRM, GET_INTENT],
            "insufficient_funds",
        ),
        (
            [NOT_NOW, intent("canceled", metadata={"declined": "authentication_required"})],
            [POST_CONFIRM, GET_INTENT],
            "authentication_required",
        ),
        (
            [NOT_NOW, intent("requires_payment_method", **FUNDS), intent("x"), intent("canceled")],
            [POST_CONFIRM, GET_INTENT, *DECLINE],
            "insufficient_funds",
        ),
    ],
)
def test_confirm_declined_cancels_the_payment(
    replies: list[Reply], asked: list[str], reason: str
) -> None:
    result, paths = ask(CONFIRM, *replies)
    assert isinstance(result, PaymentDeclined)
    assert (result.reason, paths) == (reason, asked)


def test_confirm_declined_stores_the_reason() -> None:
    with (
        scripted(intent("requires_action"), intent("x"), intent("canceled")) as stripe,
        pytest.raises(PaymentDeclined),
    ):
        CONFIRM(StripeGateway(API_KEY, 5, stripe.url))
    body = dict(parse_qsl(stripe.received[1].body.decode()))
    assert body == {"metadata[declined]": "authentication_required"}


def test_confirm_cancelled_payment_raises_voided() -> None:
    result, _ = ask(CONFIRM, NOT_NOW, intent("canceled"))
    assert isinstance(result, PaymentVoided)


@pytest.mark.parametrize(
    "replies",
    [
        [intent("processing")],
        [intent("requires_capture")],
        [TROUBLE, intent("requires_confirmation")],
        [TROUBLE, None],
        [NO_CARD, None],
        [NO_CARD, intent("requires_payment_method"), None],
        [NO_CARD, intent("requires_payment_method"), intent("x"), None],
        [NO_CARD, intent("requires_payment_method"), intent("x"), NOT_NOW, intent("processing")],
    ],
)
def test_confirm_undecided_raises_transient_error(replies: list[Reply | None]) -> None:
    result, _ = ask(CONFIRM, *replies)
    assert isinstance(result, TransientError)


@pytest.mark.parametrize(
    ("replies", "result"),
    [
        ([intent("canceled")], None),
        ([NOT_NOW, intent("canceled")], None),
        ([NOT_NOW, intent("succeeded")], CHARGE),
    ],
)
def test_cancel_returns_an_existing_charge(replies: list[Reply], result: Charge | None) -> None:
    assert ask(CANCEL, *replies)[0] == result


def test_cancel_unsuccessful_raises_transient_error() -> None:
    result, _ = ask(CANCEL, NOT_NOW, intent("processing"))
    assert isinstance(result, TransientError)


@pytest.mark.parametrize("status", ["succeeded", "pending", "requires_action"])
def test_refund_existing_is_returned(status: str) -> None:
    """Even after Stripe has forgotten its key."""
    result, asked = ask(REFUND, refunds(("re_0", "failed"), ("re_1", status)))
    assert (result, asked) == (Refund("re_1", "pi_1"), ["GET /v1/refunds"])


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_refund_failed_is_made_again(status: str) -> None:
    result, _ = ask(REFUND, refunds(("re_0", status)), Reply(200, {"id": "re_1"}))
    assert result == Refund("re_1", "pi_1")


@CALLS
@pytest.mark.parametrize(
    "reply",
    [
        None,
        error(429, "invalid_request_error", "rate_limit"),
        error(429, "invalid_request_error", "lock_timeout"),
        Reply(200, b"<html>"),
        Reply(502, b"<html>"),
        error(503, "api_error"),
    ],
)
def test_response_unknown_outcome_raises_transient_error(call: Call, reply: Reply | None) -> None:
    with serving(lambda _: reply) as stripe, pytest.raises(TransientError):
        call(StripeGateway(API_KEY, timeout_seconds=5, url=stripe.url))


@CALLS
def test_connection_refused_raises_transient_error(call: Call) -> None:
    with serving(lambda _: None) as gone:
        pass
    with pytest.raises(TransientError):
        call(StripeGateway(API_KEY, timeout_seconds=5, url=gone.url))


@CALLS
def test_response_after_the_timeout_raises_transient_error(call: Call) -> None:
    def late(_: object) -> Reply:
        time.sleep(0.8)
        return intent("succeeded")

    with serving(late) as stripe:
        asked_at = time.monotonic()
        with pytest.raises(TransientError):
            call(StripeGateway(API_KEY, timeout_seconds=0.2, url=stripe.url))
        assert time.monotonic() - asked_at < 0.7
        # The SDK does not retry.
        assert len(stripe.received) == 1


@CALLS
@pytest.mark.parametrize("status", [401, 403])
def test_wrong_api_key_raises_configuration_error(call: Call, status: int) -> None:
    result, _ = ask(call, error(status, "invalid_request_error"))
    assert isinstance(result, ConfigurationError)
    assert API_KEY not in str(result)


@CALLS
def test_reused_idempotency_key_raises_permanent_error(call: Call) -> None:
    result, _ = ask(call, error(400, "idempotency_error"))
    assert type(result) is PermanentError


@pytest.mark.parametrize(
    ("call", "replies"),
    [
        (CONFIRM, [NOT_NOW, error(404, "invalid_request_error", "resource_missing")]),
        (CANCEL, [NOT_NOW, error(404, "invalid_request_error", "resource_missing")]),
        (REFUND, [error(404, "invalid_request_error", "resource_missing")]),
        (REFUND, [refunds(), error(400, "invalid_request_error", "charge_disputed")]),
    ],
)
def test_response_refusal_raises_permanent_error(call: Call, replies: list[Reply]) -> None:
    """A payment of another account, or one with a chargeback."""
    result, _ = ask(call, *replies)
    assert type(result) is PermanentError
