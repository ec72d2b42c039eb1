"""Opens what the provider tells of its own accord: signed, and not older than a few minutes.

Both providers sign in Stripe's way, the time together with the raw body:
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

# Older ones may be replayed by somebody who read them; newer ones come from a clock that is wrong.
TOLERANCE_SECONDS = 300
SIGNATURE_HEADERS = {
    Provider.SANDBOX: "payment-signature",
    Provider.STRIPE: "stripe-signature",
}
_SCHEME = "v1"
_SECONDS_DIGITS_MAX = 12


class NoticeKind(StrEnum):
    RECEIVED = "received"
    DECLINED = "declined"
    REFUNDED = "refunded"
    OTHER = "other"


_KINDS = {
    "payment.received": NoticeKind.RECEIVED,
    "payment.declined": NoticeKind.DECLINED,
    "payment.refunded": NoticeKind.REFUNDED,
    "payment_intent.succeeded": NoticeKind.RECEIVED,
    "payment_intent.payment_failed": NoticeKind.DECLINED,
}


class WrongSignature(PermanentError):  # noqa: N818
    """The provider did not send this, or not with our secret."""


class StaleNotice(PermanentError):  # noqa: N818
    """The provider sent this too long ago, or will have in the future: perhaps it is a replay."""


class MalformedNotice(PermanentError):  # noqa: N818
    """The provider did send this, but it is no event."""


@dataclass(frozen=True)
class Notice:
    """What the provider tells. `id` is the same for every delivery; the fields after `kind` are
    None where the notice is of no payment, `order_id` also where the payment is of no order."""

    id: str
    kind: NoticeKind
    payment_id: str | None = None
    order_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Webhook:
    """Checks and reads the provider's notices."""

    provider: Provider
    secret: str = field(repr=False)

    def open(self, headers: Mapping[str, str], body: bytes, now: float) -> Notice:
        """The notice in a request with these headers (lower case) and this raw body.

        Raises WrongSignature, StaleNotice, and MalformedNotice.
        """
        header = headers.get(SIGNATURE_HEADERS[self.provider], "")
        signed_at, signatures = _parts(header)
        expected = _signature(self.secret, signed_at, body).encode()
        # While a secret is being changed there is a signature with each.
        if not any(
            hmac.compare_digest(expected, given.encode(errors="replace")) for given in signatures
        ):
            raise WrongSignature(
                f"expected {SIGNATURE_HEADERS[self.provider]} with a signature of this body, got "
                f"{len(signatures)} of something else"
            )
        if abs(now - int(signed_at)) > TOLERANCE_SECONDS:
            raise StaleNotice(
                f"expected a notice signed within {TOLERANCE_SECONDS} s of now, got one signed "
                f"{now - int(signed_at):.0f} s ago"
            )
        try:
            event = json.loads(body)
            return _notice(event, self.provider)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedNotice(f"expected an event of the provider's, got {error!r}") from None


def sign(secret: str, body: bytes, now: float) -> str:
    """The value of the signature header for `body` sent now."""
    signed_at = str(int(now))
    return f"t={signed_at},{_SCHEME}={_signature(secret, signed_at, body)}"


def _signature(secret: str, signed_at: str, body: bytes) -> str:
    return hmac.new(secret.encode(), signed_at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _parts(header: str) -> tuple[str, list[str]]:
    """Time and signatures in a header `t=TIME,v1=SIGNATURE,...`; of other schemes nothing."""
    pairs = [part.strip().partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in pairs if name == "t"]
    signed_at = times[0] if len(times) == 1 else ""
    if not (signed_at.isascii() and signed_at.isdigit() and len(signed_at) <= _SECONDS_DIGITS_MAX):
        raise WrongSignature("expected a signature t=SECONDS,v1=HEXADECIMAL, got something else")
    return signed_at, [value for name, value in pairs if name == _SCHEME]


def _notice(event: dict[str, Any], provider: Provider) -> Notice:
    kind = _KINDS.get(event["type"], NoticeKind.OTHER)
    id_ = _text("id", event["id"])
    if kind is NoticeKind.OTHER:
        return Notice(id_, kind)
    if provider is Provider.STRIPE:
        payment = event["data"]["object"]
        order_id, amount = (payment.get("metadata") or {}).get("order_id"), payment["amount"]
    else:
        payment = event["payment"]
        order_id, amount = _text("order_id", payment["order_id"]), payment["amount_minor"]
    # Not made to fit: 19.99 as a whole number is another amount.
    if type(amount) is not int or amount < 1:
        raise ValueError(f"expected an amount in whole minor units, got {amount!r}")
    return Notice(
        id=id_,
        kind=kind,
        payment_id=_text("the payment's id", payment["id"]),
        order_id=None if order_id is None else _text("order_id", order_id),
        amount_minor=amount,
        currency=_text("currency", payment["currency"]).upper(),
    )


def _text(name: str, value: Any) -> str:
    if not (isinstance(value, str) and value):
        raise ValueError(f"expected {name} to be a text, got {value!r}")
    return value
