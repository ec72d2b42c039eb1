"""Verifies and parses the payment provider's webhooks.

Both providers use Stripe's signature scheme, an HMAC over the time and the raw body:
https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.payments.configuration import Provider
from services.platform.errors import PermanentError

# Older requests may be replays; those from the future come from a wrong clock.
TOLERANCE_SECONDS = 300
SIGNATURE_HEADERS = {
    Provider.SANDBOX: "payment-signature",
    Provider.STRIPE: "stripe-signature",
}
_SCHEME = "v1"
_SECONDS_DIGITS_MAX = 12


class WebhookEventType(StrEnum):
    RECEIVED = "received"
    DECLINED = "declined"
    REFUNDED = "refunded"
    OTHER = "other"


_TYPES = {
    "payment.received": WebhookEventType.RECEIVED,
    "payment.declined": WebhookEventType.DECLINED,
    "payment.refunded": WebhookEventType.REFUNDED,
    "payment_intent.succeeded": WebhookEventType.RECEIVED,
    "payment_intent.payment_failed": WebhookEventType.DECLINED,
}


class InvalidSignature(PermanentError):  # noqa: N818
    """No signature in the header matches the body and our secret."""


class StaleWebhook(PermanentError):  # noqa: N818
    """The signature is valid but too old, or from the future: it may be a replay."""


class MalformedWebhook(PermanentError):  # noqa: N818
    """The signature is valid but the body is not a known event."""


@dataclass(frozen=True)
class WebhookEvent:
    """One event of the provider's. `id` is the same for every delivery. The fields after `type`
    are None for an event without a payment; `order_id` also for a payment without an order."""

    id: str
    type: WebhookEventType
    payment_id: str | None = None
    order_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class WebhookReader:
    """Verifies and parses requests of one provider."""

    provider: Provider
    secret: str = field(repr=False)

    def read(self, headers: Mapping[str, str], body: bytes, now: float) -> WebhookEvent:
        """The event in a request with these headers (names in lower case) and this raw body, at
        `now` (seconds since the epoch).

        Raises InvalidSignature, StaleWebhook and MalformedWebhook.
        """
        header = headers.get(SIGNATURE_HEADERS[self.provider], "")
        signed_at, signatures = _parts(header)
        expected = _signature(self.secret, signed_at, body).encode()
        # While a secret is being rotated, the provider signs with both the old and the new one.
        if not any(
            hmac.compare_digest(expected, given.encode(errors="replace")) for given in signatures
        ):
            raise InvalidSignature(
                f"none of the {len(signatures)} signatures in the header "
                f"{SIGNATURE_HEADERS[self.provider]} matches the body"
            )
        if abs(now - int(signed_at)) > TOLERANCE_SECONDS:
            raise StaleWebhook(
                f"the request was signed {now - int(signed_at):.0f} s ago; "
                f"at most {TOLERANCE_SECONDS} s are accepted"
            )
        try:
            event = json.loads(body)
            return _parse_event(event, self.provider)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MalformedWebhook(f"the body is not an event of the provider: {error!r}") from None


def sign(secret: str, body: bytes, now: float) -> str:
    """The value of the signature header for `body`, signed at `now` (seconds since the epoch)."""
    signed_at = str(int(now))
    return f"t={signed_at},{_SCHEME}={_signature(secret, signed_at, body)}"


def _signature(secret: str, signed_at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), signed_at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _parts(header: str) -> tuple[str, list[str]]:
    """Time and `v1` signatures of a header `t=TIME,v1=SIGNATURE,...`; other schemes are ignored."""
    pairs = [part.strip().partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name == "t"]
    signed_at = times[0] if len(times) == 1 else ""
    if not (signed_at.isascii() and signed_at.isdigit() and len(signed_at) <= _SECONDS_DIGITS_MAX):
        raise InvalidSignature("the signature header must be t=SECONDS,v1=HEXADECIMAL")
    return signed_at, [value for name, value in pairs if name == _SCHEME]


def _parse_event(event: dict[str, Any], provider: Provider) -> WebhookEvent:
    type_ = _TYPES.get(event["type"], WebhookEventType.OTHER)
    id_ = _text("id", event["id"])
    if type_ is WebhookEventType.OTHER:
        return WebhookEvent(id_, type_)
    if provider is Provider.STRIPE:
        payment = event["data"]["object"]
        order_id, amount = (payment.get("metadata") or {}).get("order_id"), payment["amount"]
    else:
        payment = event["payment"]
        order_id, amount = _text("order_id", payment["order_id"]), payment["amount_minor"]
    # Not rounded: 19.99 is not an amount of 19 or 20.
    if type(amount) is not int or amount < 1:
        raise ValueError(f"amount must be a positive number of minor units, got {amount!r}")
    return WebhookEvent(
        id=id_,
        type=type_,
        payment_id=_text("the payment's id", payment["id"]),
        order_id=None if order_id is None else _text("order_id", order_id),
        amount_minor=amount,
        currency=_text("currency", payment["currency"]).upper(),
    )


def _text(name: str, value: Any) -> str:
    if not (isinstance(value, str) and value):
        raise ValueError(f"{name} must be a non-empty string, got {value!r}")
    return value
