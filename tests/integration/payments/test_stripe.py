"""The Stripe gateway and its webhooks against a running localstripe."""

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
from tests.integration.payments.conftest import CLIENT_TIMEOUT_SECONDS, WEBHOOK_SECRET, Inbox
from tests.support.localstripe import API_KEY, BANK, DECLINED, LocalStripe
from tests.support.loopback import Served, Wire, serving

AMOUNT = 1995
HASTE_SECONDS = 0.7


@pytest.fixture
def order() -> str:
    return str(uuid.uuid4())


def opened(gateway: StripeGateway, stripe: LocalStripe, order: str, *number: str) -> str:
    return gateway.open(order, AMOUNT, "EUR", stripe.card(*number), f"payment#{order}")


def test_open_charges_nothing(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    (intent,) = stripe.intents(order)
    assert (intent.id, intent.status, intent.amount, intent.currency) == (
        payment, "requires_confirmation", AMOUNT, "eur",
    )  # fmt: skip
    assert stripe_gateway.confirm(payment, "key") == Charge(payment, AMOUNT, "EUR")
    assert stripe.charged(order) == 1


def test_confirm_repeated_charges_once(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    results = {stripe_gateway.confirm(payment, key) for key in ("key", "key", "another key")}
    assert results == {Charge(payment, AMOUNT, "EUR")}
    assert stripe.charged(order) == 1


@pytest.mark.parametrize(
    ("number", "reason"), [(DECLINED, "card_declined"), (BANK, "authentication_required")]
)
def test_confirm_declined_is_final(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str, number: str, reason: str
) -> None:
    payment = opened(stripe_gateway, stripe, order, number)
    # The second call as after a crash of the first.
    for _ in range(2):
        with pytest.raises(PaymentDeclined) as declined:
            stripe_gateway.confirm(payment, "key")
        assert declined.value.reason == reason
    assert [intent.status for intent in stripe.intents(order)] == ["canceled"]


@pytest.mark.parametrize("method", ["pm_unknown", "pm_0"])
def test_open_unknown_method_raises_declined(
    stripe_gateway: StripeGateway, order: str, method: str
) -> None:
    with pytest.raises(PaymentDeclined) as declined:
        stripe_gateway.open(order, AMOUNT, "EUR", method, "key")
    assert declined.value.reason == "unknown_payment_method"


def test_confirm_cancelled_payment_raises_voided(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    assert [stripe_gateway.cancel(payment) for _ in range(2)] == [None, None]
    with pytest.raises(PaymentVoided):
        stripe_gateway.confirm(payment, "key")
    assert stripe.charged(order) == 0


def test_cancel_charged_payment_returns_the_charge(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    payment = opened(stripe_gateway, stripe, order)
    charge = stripe_gateway.confirm(payment, "key")
    assert stripe_gateway.cancel(payment) == charge
    assert stripe.charged(order) == 1


def test_refund_repeated_is_made_once(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    """localstripe ignores idempotency keys, as Stripe does after a day."""
    charge = stripe_gateway.confirm(opened(stripe_gateway, stripe, order), "key")
    first, second = (stripe_gateway.refund(charge, "refund") for _ in range(2))
    assert first == second
    (refund,) = stripe.refunds(charge.payment_id)
    assert (refund.id, refund.amount) == (first.refund_id, AMOUNT)


def test_invalid_requests_are_refused(
    stripe: LocalStripe, stripe_gateway: StripeGateway, order: str
) -> None:
    with pytest.raises(PermanentError, match="refused to open"):
        stripe_gateway.open(order, 0, "EUR", stripe.card(), "key")
    with pytest.raises(PermanentError):
        stripe_gateway.confirm("pi_unknown", "key")
    with pytest.raises(ConfigurationError) as caught:
        StripeGateway("no key", 10, stripe.url).open(order, AMOUNT, "EUR", "pm_card_visa", "key")
    assert "no key" not in str(caught.value)


# --- lost and late responses ----------------------------------------------------------------------


@pytest.fixture
def wire(stripe: LocalStripe) -> Wire:
    return Wire(stripe.url, late_seconds=2 * HASTE_SECONDS)


def impatient_gateway(fault: str, line: Served) -> StripeGateway:
    """A gateway whose timeout is shorter than a late response."""
    seconds = HASTE_SECONDS if fault == "late" else CLIENT_TIMEOUT_SECONDS
    return StripeGateway(API_KEY, seconds, line.url)


@pytest.fixture
def line(wire: Wire) -> Iterator[Served]:
    with serving(wire.respond) as served:
        yield served


@pytest.mark.parametrize(("fault", "charged"), [("lost", 0), ("late", 1)])
def test_confirm_without_response_charges_once(
    stripe: LocalStripe, wire: Wire, line: Served, order: str, fault: str, charged: int
) -> None:
    gateway = impatient_gateway(fault, line)
    payment = opened(gateway, stripe, order)
    wire.ends, wire.faults = "/confirm", [fault]
    with pytest.raises(TransientError):
        gateway.confirm(payment, "key")
    assert stripe.charged(order) == charged
    # A repetition returns the charge.
    assert gateway.confirm(payment, "key") == Charge(payment, AMOUNT, "EUR")
    assert stripe.charged(order) == 1
    # The SDK did not retry.
    assert [path for path in line.paths() if path.endswith("/confirm")] == [
        f"POST /v1/payment_intents/{payment}/confirm"
    ] * 2


@pytest.mark.parametrize("fault", ["lost", "late"])
def test_confirm_declined_without_response_is_final(
    stripe: LocalStripe, wire: Wire, line: Served, order: str, fault: str
) -> None:
    """With a fault at each of its requests in turn."""
    gateway = impatient_gateway(fault, line)
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
def test_cancel_and_refund_without_response_happen_once(
    stripe: LocalStripe, wire: Wire, line: Served, order: str, fault: str
) -> None:
    gateway = impatient_gateway(fault, line)
    payment = opened(gateway, stripe, order)
    wire.ends, wire.faults = "/cancel", [fault]
    with pytest.raises(TransientError):
        gateway.cancel(payment)
    assert gateway.cancel(payment) is None
    charge = gateway.confirm(opened(gateway, stripe, order), "key")
    # At the search for a refund and at its creation.
    for faults in ([fault], ["none", fault]):
        wire.ends, wire.faults = "/refunds", faults
        with pytest.raises(TransientError):
            gateway.refund(charge, "refund")
        assert wire.faults == []
    refund = gateway.refund(charge, "refund")
    assert [one.id for one in stripe.refunds(charge.payment_id)] == [refund.refund_id]


# --- webhooks -------------------------------------------------------------------------------------


def notices(inbox: Inbox, order: str, count: int) -> list[tuple[dict[str, str], bytes]]:
    """Waits for `count` webhooks of an order and returns them."""
    return [(dict(r.headers), r.body) for r in inbox.wait_for(order, count)]


def test_webhooks_are_verified_and_parsed(
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
