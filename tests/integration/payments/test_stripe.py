"""Stripe's gateway, its SDK and the webhooks, against a running localstripe."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from services.payments.configuration import Provider
from services.payments.model import Charge, PaymentDeclined, PaymentVoided
from services.payments.stripe_gateway import StripeGateway
from services.payments.webhooks import (
    InvalidSignature,
    StaleWebhook,
    WebhookEventType,
    WebhookReader,
)
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from tests.integration.payments.conftest import PATIENCE_SECONDS, WEBHOOK_SECRET, Inbox
from tests.support.localstripe import API_KEY, BANK, DECLINED, LocalStripe
from tests.support.loopback import Served, Wire, serving

AMOUNT = 1995
HASTE_SECONDS = 0.7


@pytest.fixture
def order() -> str:
    return str(uuid.uuid4())


def opened(gateway: StripeGateway, stripe: LocalStripe, order: str, *number: str) -> str:
    return gateway.open(order, AMOUNT, "EUR", stripe.card(*number), f"payment#{order}")


def test_a_payment_takes_no_money_until_it_is_confirmed(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    (intent,) = stripe.intents(order)
    assert (intent.id, intent.status, intent.amount, intent.currency) == (
        payment, "requires_confirmation", AMOUNT, "eur",
    )  # fmt: skip
    assert stripe_gateway.confirm(payment, "key") == Charge(payment, AMOUNT, "EUR")
    assert stripe.charged(order) == 1


def test_a_payment_is_charged_once_however_often_it_is_confirmed(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    told = {stripe_gateway.confirm(payment, key) for key in ("key", "key", "another key")}
    assert told == {Charge(payment, AMOUNT, "EUR")}
    assert stripe.charged(order) == 1


@pytest.mark.parametrize(
    ("number", "reason"), [(DECLINED, "card_declined"), (BANK, "authentication_required")]
)
def test_a_decline_is_for_good(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str, number: str, reason: str
) -> None:
    payment = opened(stripe_gateway, stripe, order, number)
    # The second time as if the first had died before it could tell.
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            stripe_gateway.confirm(payment, "key")
        assert declined.value.reason == reason
    assert [intent.status for intent in stripe.intents(order)] == ["canceled"]


@pytest.mark.parametrize("method", ["pm_unknown", "pm_0"])
def test_a_method_that_there_is_not_is_declined(
    stripe_gateway: StripeGateway, order: str, method: str
) -> None:
    with pytest.raises(PaymentDeclined) as declined:
        stripe_gateway.open(order, AMOUNT, "EUR", method, "key")
    assert declined.value.reason == "unknown_payment_method"


def test_a_payment_that_was_called_off_is_never_charged(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    assert [stripe_gateway.cancel(payment) for _ in range(2)] == [None, None]
    with pytest.raises(PaymentVoided):
        stripe_gateway.confirm(payment, "key")
    assert stripe.charged(order) == 0


def test_it_may_be_too_late_to_call_off(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    charge = stripe_gateway.confirm(payment, "key")
    assert stripe_gateway.cancel(payment) == charge
    assert stripe.charged(order) == 1


def test_a_charge_is_given_back_once(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    """localstripe knows no idempotency keys: like Stripe's, once it has forgotten them."""
    charge = stripe_gateway.confirm(opened(stripe_gateway, stripe, order), "key")
    first, second = (stripe_gateway.refund(charge, "refund") for _ in range(2))
    assert first == second
    (refund,) = stripe.refunds(charge.payment_id)
    assert (refund.id, refund.amount) == (first.refund_id, AMOUNT)


def test_refusals_of_the_real_thing(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    with pytest.raises(PermanentError, match="refused to open"):
        stripe_gateway.open(order, 0, "EUR", stripe.card(), "key")
    with pytest.raises(PermanentError):
        stripe_gateway.confirm("pi_unknown", "key")
    with pytest.raises(ConfigurationError) as told:
        StripeGateway("no key", 10, stripe.url).open(order, AMOUNT, "EUR", "pm_card_visa", "key")
    assert "no key" not in str(told.value)


# --- lost and late answers ------------------------------------------------------------------------


@pytest.fixture
def wire(stripe: LocalStripe) -> Wire:
    return Wire(stripe.url, late_seconds=2 * HASTE_SECONDS)


def waiting_for(fault: str, line: Served) -> StripeGateway:
    """A client that hears at once of what is lost, and does not wait for what is late."""
    seconds = HASTE_SECONDS if fault == "late" else PATIENCE_SECONDS
    return StripeGateway(API_KEY, seconds, line.url)


@pytest.fixture
def line(wire: Wire) -> Iterator[Served]:
    with serving(wire.respond) as served:
        yield served


@pytest.mark.parametrize(("fault", "charged"), [("lost", 0), ("late", 1)])
def test_a_charge_whose_answer_does_not_come(
    stripe: LocalStripe, wire: Wire, line: Served, order: str, fault: str, charged: int
) -> None:
    gateway = waiting_for(fault, line)
    payment = opened(gateway, stripe, order)
    wire.ends, wire.faults = "/confirm", [fault]
    with pytest.raises(TransientError):
        gateway.confirm(payment, "key")
    assert stripe.charged(order) == charged
    # Asked again, it is told.
    assert gateway.confirm(payment, "key") == Charge(payment, AMOUNT, "EUR")
    assert stripe.charged(order) == 1
    # And the SDK did not ask by itself.
    assert [path for path in line.paths() if path.endswith("/confirm")] == [
        f"POST /v1/payment_intents/{payment}/confirm"
    ] * 2


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_a_decline_whose_answers_do_not_come(
    stripe: LocalStripe, wire: Wire, line: Served, order: str, fault: str
) -> None:
    """Each of its requests in turn."""
    gateway = waiting_for(fault, line)
    payment = opened(gateway, stripe, order, DECLINED)
    for ends in ("/confirm", payment, "/cancel"):
        wire.ends, wire.faults = ends, [fault]
        with pytest.raises(TransientError):
            gateway.confirm(payment, "key")
    with pytest.raises(PaymentDeclined) as declined:
        gateway.confirm(payment, "key")
    assert declined.value.reason == "card_declined"
    assert wire.faults == []
    assert stripe.charged(order) == 0


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_calling_off_and_giving_back_when_answers_do_not_come(
    stripe: LocalStripe, wire: Wire, line: Served, order: str, fault: str
) -> None:
    gateway = waiting_for(fault, line)
    payment = opened(gateway, stripe, order)
    wire.ends, wire.faults = "/cancel", [fault]
    with pytest.raises(TransientError):
        gateway.cancel(payment)
    assert gateway.cancel(payment) is None
    charge = gateway.confirm(opened(gateway, stripe, order), "key")
    # While it looks for a refund, and while it makes one.
    for faults in ([fault], ["none", fault]):
        wire.ends, wire.faults = "/refunds", faults
        with pytest.raises(TransientError):
            gateway.refund(charge, "refund")
        assert wire.faults == []
    refund = gateway.refund(charge, "refund")
    assert [one.id for one in stripe.refunds(charge.payment_id)] == [refund.refund_id]


# --- webhooks -------------------------------------------------------------------------------------


def notices(inbox: Inbox, order: str, count: int) -> list[tuple[dict[str, str], bytes]]:
    """The webhooks of an order, when so many have come."""
    give_up_at = time.monotonic() + 10
    while True:
        found = [(dict(r.headers), r.body) for r in inbox.taken if order.encode() in r.body]
        if len(found) >= count:
            return found
        assert time.monotonic() < give_up_at, f"expected {count} webhooks, got {len(found)}"
        time.sleep(0.05)


def test_webhooks_as_they_are_signed_are_taken(
    stripe: LocalStripe, stripe_gateway: StripeGateway, inbox: Inbox, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    declined = opened(stripe_gateway, stripe, order, DECLINED)
    stripe_gateway.confirm(payment, "key")
    with pytest.raises(PaymentDeclined):
        stripe_gateway.confirm(declined, "key")
    webhook = WebhookReader(Provider.STRIPE, WEBHOOK_SECRET)
    found = [webhook.read(headers, body, time.time()) for headers, body in notices(inbox, order, 2)]
    assert {
        (one.type, one.payment_id, one.order_id, one.amount_minor, one.currency) for one in found
    } == {
        (WebhookEventType.RECEIVED, payment, order, AMOUNT, "EUR"),
        (WebhookEventType.DECLINED, declined, order, AMOUNT, "EUR"),
    }
    assert len({one.id for one in found}) == 2
    for headers, body in notices(inbox, order, 2):
        with pytest.raises(InvalidSignature):
            webhook.read(headers, body.replace(b"1995", b"1996"), time.time())
        with pytest.raises(InvalidSignature):
            WebhookReader(Provider.STRIPE, "another").read(headers, body, time.time())
        with pytest.raises(StaleWebhook):
            webhook.read(headers, body, time.time() + 3600)
