"""Stripe's gateway: its real SDK against answers of Stripe's form, also those that localstripe
never gives. localstripe itself answers in tests/integration/payments."""

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
    """What the gateway made of the answers, an exception too, and what it asked for."""
    with scripted(*replies) as stripe:
        gateway = StripeGateway(API_KEY, timeout_seconds=5, url=stripe.url)
        try:
            return call(gateway), stripe.paths()
        except (TransientError, PermanentError) as error:
            return error, stripe.paths()


def test_what_is_sent() -> None:
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
def test_a_method_that_is_not_taken_is_a_decline(reply: Reply, reason: str) -> None:
    result, _ = ask(OPEN, reply)
    assert isinstance(result, PaymentDeclined)
    assert result.reason == reason


@pytest.mark.parametrize("code", ["amount_too_small", "invalid_currency", "parameter_unknown"])
def test_a_payment_that_cannot_be_opened_is_no_decline(code: str) -> None:
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
        # The same key is being worked on; or it failed inside Stripe, after the charge.
        ([BUSY, intent("succeeded")], [POST_CONFIRM, GET_INTENT], CHARGE),
        ([TROUBLE, intent("succeeded")], [POST_CONFIRM, GET_INTENT], CHARGE),
        # Declined, and charged before that could be made sure of.
        (
            [NO_CARD, intent("requires_payment_method", **FUNDS), intent("succeeded"), NOT_NOW,
             intent("succeeded")],
            [POST_CONFIRM, GET_INTENT, *DECLINE, GET_INTENT],
            CHARGE,
        ),
    ],
)  # fmt: skip
def test_a_charge(replies: list[Reply], asked: list[str], result: Charge) -> None:
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
        # The bank wants to see the customer.
        (
            [intent("requires_action"), intent("x"), intent("canceled")],
            [POST_CONFIRM, *DECLINE],
            "authentication_required",
        ),
        # Another attempt called it off first.
        (
            [intent("requires_action"), NOT_NOW, NOT_NOW, intent("canceled")],
            [POST_CONFIRM, *DECLINE, GET_INTENT],
            "authentication_required",
        ),
        # Declined by an attempt that told nobody.
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
def test_a_decline_is_for_good(replies: list[Reply], asked: list[str], reason: str) -> None:
    result, paths = ask(CONFIRM, *replies)
    assert isinstance(result, PaymentDeclined)
    assert (result.reason, paths) == (reason, asked)


def test_the_reason_of_a_decline_is_kept_with_the_payment() -> None:
    with (
        scripted(intent("requires_action"), intent("x"), intent("canceled")) as stripe,
        pytest.raises(PaymentDeclined),
    ):
        CONFIRM(StripeGateway(API_KEY, 5, stripe.url))
    body = dict(parse_qsl(stripe.received[1].body.decode()))
    assert body == {"metadata[declined]": "authentication_required"}


def test_a_payment_that_was_called_off_is_told_from_a_decline() -> None:
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
def test_what_is_not_decided_may_be_asked_for_again(replies: list[Reply | None]) -> None:
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
def test_calling_off(replies: list[Reply], result: Charge | None) -> None:
    assert ask(CANCEL, *replies)[0] == result


def test_what_could_not_be_called_off_may_be_asked_for_again() -> None:
    result, _ = ask(CANCEL, NOT_NOW, intent("processing"))
    assert isinstance(result, TransientError)


@pytest.mark.parametrize("status", ["succeeded", "pending", "requires_action"])
def test_a_refund_that_there_is_is_not_made_again(status: str) -> None:
    """Also when Stripe has forgotten its key."""
    result, asked = ask(REFUND, refunds(("re_0", "failed"), ("re_1", status)))
    assert (result, asked) == (Refund("re_1", "pi_1"), ["GET /v1/refunds"])


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_came_to_nothing_is_made_again(status: str) -> None:
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
def test_an_outcome_that_is_not_known_may_be_asked_for_again(
    call: Call, reply: Reply | None
) -> None:
    with serving(lambda _: reply) as stripe, pytest.raises(TransientError):
        call(StripeGateway(API_KEY, timeout_seconds=5, url=stripe.url))


@CALLS
def test_nobody_there(call: Call) -> None:
    with serving(lambda _: None) as gone:
        pass
    with pytest.raises(TransientError):
        call(StripeGateway(API_KEY, timeout_seconds=5, url=gone.url))


@CALLS
def test_an_answer_that_is_too_late_is_not_waited_for(call: Call) -> None:
    def late(_: object) -> Reply:
        time.sleep(0.8)
        return intent("succeeded")

    with serving(late) as stripe:
        asked_at = time.monotonic()
        with pytest.raises(TransientError):
            call(StripeGateway(API_KEY, timeout_seconds=0.2, url=stripe.url))
        assert time.monotonic() - asked_at < 0.7
        # The SDK does not ask again by itself.
        assert len(stripe.received) == 1


@CALLS
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_is_a_mistake_of_ours(call: Call, status: int) -> None:
    result, _ = ask(call, error(status, "invalid_request_error"))
    assert isinstance(result, ConfigurationError)
    assert API_KEY not in str(result)


@CALLS
def test_a_key_that_was_used_for_something_else_is_a_mistake_of_ours(call: Call) -> None:
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
def test_a_refusal_is_not_asked_for_again(call: Call, replies: list[Reply]) -> None:
    """A payment of another account, or one that the bank has taken back."""
    result, _ = ask(call, *replies)
    assert type(result) is PermanentError
