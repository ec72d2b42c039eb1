"""Webhooks: what the provider signed is taken, to the byte, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from services.payments.configuration import Provider
from services.payments.webhooks import (
    SIGNATURE_HEADERS,
    TOLERANCE_SECONDS,
    InvalidSignature,
    MalformedWebhook,
    StaleWebhook,
    WebhookEvent,
    WebhookEventType,
    WebhookReader,
    sign,
)

SECRET = "whsec_of_the_lab"
NOW = 1_800_000_000.5
PAYMENT = {"id": "pay_1", "order_id": "order-1", "amount_minor": 1995, "currency": "EUR"}
SANDBOX_EVENT = {"id": "evt_1", "type": "payment.received", "created": 1, "payment": PAYMENT}
STRIPE_EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "payment_intent.succeeded",
    "data": {
        "object": {
            "id": "pi_1",
            "object": "payment_intent",
            "amount": 1995,
            "currency": "eur",
            "metadata": {"order_id": "order-1"},
        }
    },
}
EVENTS = {Provider.SANDBOX: SANDBOX_EVENT, Provider.STRIPE: STRIPE_EVENT}
BOTH = pytest.mark.parametrize("provider", list(Provider))


def opened(
    provider: Provider, event: Any, *, header: str | None = None, now: float = NOW
) -> WebhookEvent:
    """What comes of an event (bytes as they are), signed now unless the header is given."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    given = sign(SECRET, body, NOW) if header is None else header
    return WebhookReader(provider, SECRET).read({SIGNATURE_HEADERS[provider]: given}, body, now)


@pytest.mark.parametrize(
    ("provider", "payment_id"), [(Provider.SANDBOX, "pay_1"), (Provider.STRIPE, "pi_1")]
)
def test_what_the_provider_signed_is_read(provider: Provider, payment_id: str) -> None:
    assert opened(provider, EVENTS[provider]) == WebhookEvent(
        "evt_1", WebhookEventType.RECEIVED, payment_id, "order-1", 1995, "EUR"
    )


def test_a_signature_is_the_hmac_of_time_and_body() -> None:
    """Worked out by hand, as Stripe describes it, so that `sign` and `open` are not wrong alike."""
    body = b'{"id": "evt_1", "type": "ping"}'
    mac = hmac.digest(SECRET.encode(), b"1800000000." + body, "sha256").hex()
    assert sign(SECRET, body, NOW) == f"t=1800000000,v1={mac}"
    assert opened(Provider.STRIPE, body, header=f"t=1800000000,v1={mac}").id == "evt_1"


@BOTH
@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("payment.received", WebhookEventType.RECEIVED),
        ("payment.declined", WebhookEventType.DECLINED),
        ("payment.refunded", WebhookEventType.REFUNDED),
        ("payment_intent.succeeded", WebhookEventType.RECEIVED),
        ("payment_intent.payment_failed", WebhookEventType.DECLINED),
    ],
)
def test_kinds(provider: Provider, type_: str, kind: WebhookEventType) -> None:
    assert opened(provider, EVENTS[provider] | {"type": type_}).type is kind


@BOTH
@pytest.mark.parametrize("type_", ["charge.updated", "payment.disputed", "", "PAYMENT.RECEIVED", 7])
def test_a_type_that_is_not_known_is_taken_and_means_nothing(
    provider: Provider, type_: object
) -> None:
    """A refusal would have the provider send it for days."""
    assert opened(provider, {"id": "evt_1", "type": type_}) == WebhookEvent(
        "evt_1", WebhookEventType.OTHER
    )


BODY = json.dumps(SANDBOX_EVENT).encode()
SIGNED = sign(SECRET, BODY, NOW)
TIME, SIGNATURE = SIGNED.split(",")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        TIME,
        SIGNATURE,
        f"{TIME},v1=",
        f"{TIME},v0={SIGNATURE.removeprefix('v1=')}",
        f"{TIME},{SIGNATURE.upper()}",
        f"{TIME},{SIGNATURE[:-1]}",
        f"{TIME},{SIGNATURE}0",
        f"t=1800000001,{SIGNATURE}",
        f"t=01800000000,{SIGNATURE}",
        f"t=1.8e9,{SIGNATURE}",
        f"t=-1,{SIGNATURE}",
        f"t=٣,{SIGNATURE}",
        f"t={'9' * 5000},{SIGNATURE}",
        f"{TIME},{TIME},{SIGNATURE}",
        f"{TIME},t=1,{SIGNATURE}",
        f"{TIME},v1=é",
        f"{TIME},v1=\ud800",
        SIGNED.replace(",", ";"),
        sign("another secret", BODY, NOW),
        sign("", BODY, NOW),
        sign(SECRET, BODY + b" ", NOW),
    ],
)  # fmt: skip
def test_what_the_provider_did_not_sign_is_refused(header: str) -> None:
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, BODY, header=header)


@BOTH
def test_a_signature_in_the_other_providers_header_is_none(provider: Provider) -> None:
    (other,) = set(Provider) - {provider}
    body = json.dumps(EVENTS[provider]).encode()
    with pytest.raises(InvalidSignature):
        WebhookReader(provider, SECRET).read(
            {SIGNATURE_HEADERS[other]: sign(SECRET, body, NOW)}, body, NOW
        )


@pytest.mark.parametrize("at", range(0, len(BODY), 7))
def test_every_byte_of_the_body_is_signed(at: int) -> None:
    changed = bytes([*BODY[:at], BODY[at] ^ 1, *BODY[at + 1 :]])
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, changed, header=SIGNED)


def test_the_body_counts_as_it_came_not_as_it_reads() -> None:
    """Spaces, the order of names, and bytes that are no UTF-8."""
    spaced = json.dumps(dict(reversed(SANDBOX_EVENT.items())), indent=4).encode()
    assert opened(Provider.SANDBOX, spaced).id == "evt_1"
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, spaced, header=SIGNED)
    with pytest.raises(MalformedWebhook):
        opened(Provider.SANDBOX, b"\xff\xfe\x00")


def test_while_a_secret_changes_either_of_two_signatures_will_do() -> None:
    other = "v1=" + hmac.digest(b"older", b"x", hashlib.sha256).hex()
    for header in (f"{TIME},{other},{SIGNATURE}", f"{TIME}, {SIGNATURE} , {other},v0=x"):
        assert opened(Provider.SANDBOX, BODY, header=header).id == "evt_1"


@BOTH
@pytest.mark.parametrize(
    ("late_seconds", "taken"),
    [
        (0, True),
        (TOLERANCE_SECONDS - 1, True),
        (TOLERANCE_SECONDS + 1, False),
        (24 * 3600, False),
        # The provider's clock is ahead of ours.
        (-(TOLERANCE_SECONDS - 1), True),
        (-(TOLERANCE_SECONDS + 1), False),
        (-24 * 3600, False),
    ],
)
def test_old_and_future_ones_are_refused(
    provider: Provider, late_seconds: float, taken: bool
) -> None:
    now = NOW + late_seconds
    if taken:
        assert opened(provider, EVENTS[provider], now=now).type is WebhookEventType.RECEIVED
        return
    with pytest.raises(StaleWebhook, match="at most 300 s are accepted"):
        opened(provider, EVENTS[provider], now=now)


def test_nobody_learns_of_a_body_that_is_not_signed() -> None:
    """A wrong signature is told before the time and before the body are looked at."""
    header = sign("another secret", b"no JSON", 1)
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, b"no JSON", header=header)


def without(event: dict[str, Any], *path: str) -> dict[str, Any]:
    """The event without the member at the path."""
    changed: dict[str, Any] = json.loads(json.dumps(event))
    place = changed
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return changed


def with_(event: dict[str, Any], value: object, *path: str) -> dict[str, Any]:
    changed = without(event, *path)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


IN_STRIPE = ("data", "object")


@pytest.mark.parametrize(
    ("provider", "event"),
    [
        *[(provider, event) for provider in Provider for event in (
            b"", b"null", b"[]", b'"evt_1"', b"{", b"{}", {"type": "ping"}, {"id": "evt_1"},
            {"id": None, "type": "ping"}, {"id": "", "type": "ping"}, {"id": 7, "type": "ping"},
            {"id": "evt_1", "type": ["payment.received"]},
            without(EVENTS[provider], "payment" if provider is Provider.SANDBOX else "data"),
        )],
        *[(Provider.SANDBOX, without(SANDBOX_EVENT, "payment", name)) for name in PAYMENT],
        *[(Provider.SANDBOX, with_(SANDBOX_EVENT, None, "payment", name)) for name in PAYMENT],
        *[(Provider.SANDBOX, with_(SANDBOX_EVENT, amount, "payment", "amount_minor"))
          for amount in (19.95, 1995.0, "1995", True, 0, -1995)],
        *[(Provider.STRIPE, without(STRIPE_EVENT, *IN_STRIPE, name))
          for name in ("id", "amount", "currency")],
        *[(Provider.STRIPE, with_(STRIPE_EVENT, None, *IN_STRIPE, name))
          for name in ("id", "amount", "currency")],
        *[(Provider.STRIPE, with_(STRIPE_EVENT, amount, *IN_STRIPE, "amount"))
          for amount in (19.95, "1995", True, 0, -1995)],
        (Provider.STRIPE, with_(STRIPE_EVENT, 7, *IN_STRIPE, "metadata", "order_id")),
    ],
)  # fmt: skip
def test_what_is_signed_and_no_event_is_refused(provider: Provider, event: Any) -> None:
    with pytest.raises(MalformedWebhook):
        opened(provider, event)


@pytest.mark.parametrize("metadata", [None, {}, {"shop": "another"}])
def test_a_payment_of_something_else_is_of_no_order(metadata: object) -> None:
    """A Stripe account may be shared."""
    notice = opened(Provider.STRIPE, with_(STRIPE_EVENT, metadata, *IN_STRIPE, "metadata"))
    assert (notice.order_id, notice.payment_id, notice.amount_minor) == (None, "pi_1", 1995)


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(WebhookReader(Provider.STRIPE, SECRET))
    with pytest.raises(InvalidSignature) as refused:
        opened(Provider.STRIPE, BODY, header=sign("another secret", BODY, NOW))
    assert SECRET not in str(refused.value)
    assert SIGNATURE.removeprefix("v1=") not in str(refused.value)


def test_base64_is_not_what_is_signed() -> None:
    """The gateway's encoding is undone before, by platform/http.py."""
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, base64.b64encode(BODY), header=SIGNED)
