"""Verification and parsing of webhooks."""

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
EVENTS: dict[Provider, dict[str, Any]] = {
    Provider.SANDBOX: SANDBOX_EVENT,
    Provider.STRIPE: STRIPE_EVENT,
}
BOTH = pytest.mark.parametrize("provider", list(Provider))


def opened(
    provider: Provider, event: Any, *, header: str | None = None, now: float = NOW
) -> WebhookEvent:
    """The event parsed from `event` (bytes as they are), signed now unless `header` is given."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    given = sign(SECRET, body, NOW) if header is None else header
    return WebhookReader(provider, SECRET).read({SIGNATURE_HEADERS[provider]: given}, body, now)


@pytest.mark.parametrize(
    ("provider", "payment_id"), [(Provider.SANDBOX, "pay_1"), (Provider.STRIPE, "pi_1")]
)
def test_read_signed_event_is_parsed(provider: Provider, payment_id: str) -> None:
    assert opened(provider, EVENTS[provider]) == WebhookEvent(
        "evt_1", WebhookEventType.RECEIVED, payment_id, "order-1", 1995, "EUR"
    )


def test_sign_is_the_hmac_of_time_and_body() -> None:
    """Computed here as Stripe documents it, so that `sign` and `read` cannot share a mistake."""
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
def test_read_known_type_is_mapped(provider: Provider, type_: str, kind: WebhookEventType) -> None:
    assert opened(provider, EVENTS[provider] | {"type": type_}).type is kind


@BOTH
@pytest.mark.parametrize("type_", ["charge.updated", "payment.disputed", "", "PAYMENT.RECEIVED", 7])
def test_read_unknown_type_is_other(provider: Provider, type_: object) -> None:
    """The provider would repeat a refused webhook for days."""
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
def test_read_invalid_signature_is_refused(header: str) -> None:
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, BODY, header=header)


@BOTH
def test_read_other_providers_header_is_refused(provider: Provider) -> None:
    (other,) = set(Provider) - {provider}
    body = json.dumps(EVENTS[provider]).encode()
    with pytest.raises(InvalidSignature):
        WebhookReader(provider, SECRET).read(
            {SIGNATURE_HEADERS[other]: sign(SECRET, body, NOW)}, body, NOW
        )


@pytest.mark.parametrize("at", range(0, len(BODY), 7))
def test_read_changed_byte_is_refused(at: int) -> None:
    changed = bytes([*BODY[:at], BODY[at] ^ 1, *BODY[at + 1 :]])
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, changed, header=SIGNED)


def test_read_equivalent_body_is_refused() -> None:
    """Other spaces, another order of names, and bytes that are not UTF-8."""
    spaced = json.dumps(dict(reversed(SANDBOX_EVENT.items())), indent=4).encode()
    assert opened(Provider.SANDBOX, spaced).id == "evt_1"
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, spaced, header=SIGNED)
    with pytest.raises(MalformedWebhook):
        opened(Provider.SANDBOX, b"\xff\xfe\x00")


def test_read_one_valid_signature_of_two_suffices() -> None:
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
        # The provider's clock is fast.
        (-(TOLERANCE_SECONDS - 1), True),
        (-(TOLERANCE_SECONDS + 1), False),
        (-24 * 3600, False),
    ],
)
def test_read_checks_the_age_of_the_signature(
    provider: Provider, late_seconds: float, taken: bool
) -> None:
    now = NOW + late_seconds
    if taken:
        assert opened(provider, EVENTS[provider], now=now).type is WebhookEventType.RECEIVED
        return
    with pytest.raises(StaleWebhook, match="at most 300 s are accepted"):
        opened(provider, EVENTS[provider], now=now)


def test_read_invalid_signature_is_reported_before_age_and_body() -> None:
    """An unsigned request learns nothing about the body."""
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
            b"", b"null", b"[]", b'"evt_1"', b"{", b"{}", b"[" * 100_000,
            {"type": "ping"}, {"id": "evt_1"},
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
def test_read_signed_malformed_event_is_refused(provider: Provider, event: Any) -> None:
    with pytest.raises(MalformedWebhook):
        opened(provider, event)


@pytest.mark.parametrize("metadata", [None, {}, {"shop": "another"}])
def test_read_stripe_payment_without_order_has_no_order(metadata: object) -> None:
    """Other applications may use the same Stripe account."""
    notice = opened(Provider.STRIPE, with_(STRIPE_EVENT, metadata, *IN_STRIPE, "metadata"))
    assert (notice.order_id, notice.payment_id, notice.amount_minor) == (None, "pi_1", 1995)


def test_reader_repr_shows_no_secret() -> None:
    assert SECRET not in repr(WebhookReader(Provider.STRIPE, SECRET))
    with pytest.raises(InvalidSignature) as refused:
        opened(Provider.STRIPE, BODY, header=sign("another secret", BODY, NOW))
    assert SECRET not in str(refused.value)
    assert SIGNATURE.removeprefix("v1=") not in str(refused.value)


def test_read_base64_body_is_refused() -> None:
    """platform/functions/http.py decodes the body before."""
    with pytest.raises(InvalidSignature):
        opened(Provider.SANDBOX, base64.b64encode(BODY), header=SIGNED)
