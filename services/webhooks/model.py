"""Webhook endpoints, the types of their events, and signatures.

Signatures follow Standard Webhooks, so that its libraries verify them:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.events.images import ImageEventType
from services.events.orders import OrderEventType
from services.platform.errors import PermanentError

SECRET_PREFIX = "whsec_"  # noqa: S105
# The specification asks for 24 to 64 bytes.
SECRET_BYTES = 32
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = (
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
)
ID_DIGITS = 32
# Pauses after each failed attempt: nine attempts in 15 hours.
RETRY_SECONDS = (5, 30, 120, 600, 1800, 7200, 14400, 28800)
# The owner of the endpoints that the deployment's secret lists. No user has this id.
DEPLOYMENT = "#deployment"


class WebhookEventType(StrEnum):
    """What endpoints may be called for. `webhook.test` is sent on request only."""

    IMAGE_DEVELOPED = ImageEventType.DEVELOPED.value
    IMAGE_REJECTED = ImageEventType.REJECTED.value
    IMAGE_DELETED = ImageEventType.DELETED.value
    IMAGE_REDEVELOPED = ImageEventType.REDEVELOPED.value
    ORDER_CREATED = OrderEventType.CREATED.value
    PAYMENT_RECEIVED = OrderEventType.PAYMENT_RECEIVED.value
    ORDER_SHIPPED = OrderEventType.SHIPPED.value
    ORDER_REJECTED = OrderEventType.REJECTED.value
    ORDER_OUT_OF_STOCK = OrderEventType.OUT_OF_STOCK.value
    ORDER_PAYMENT_DECLINED = OrderEventType.PAYMENT_DECLINED.value
    ORDER_CANCELLED = OrderEventType.CANCELLED.value
    ORDER_FAILED = OrderEventType.FAILED.value


TEST_EVENT = "webhook.test"


class DisabledReason(StrEnum):
    """Why an endpoint is called no more."""

    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"
    """The last attempt to deliver an event failed."""


@dataclass(frozen=True)
class Secret:
    """A secret in the form `whsec_` and base64. `valid_until` (seconds since the epoch) is when it
    signs no more; None for the newest one."""

    text: str = field(repr=False)
    valid_until: int | None = None


@dataclass(frozen=True)
class Endpoint:
    """An address that is called with events. `owner` is a user's id, or DEPLOYMENT. `events` is
    what it is called for; empty for all. `created_at` is ISO 8601 text in UTC. `url` may contain a
    secret, so it is not logged."""

    id: str
    owner: str
    url: str = field(repr=False)
    events: frozenset[str]
    secrets: tuple[Secret, ...] = field(repr=False)
    created_at: str = ""
    disabled: DisabledReason | None = None

    def wants(self, event_type: str) -> bool:
        """Whether it is called for events of this type."""
        return not self.events or event_type in self.events

    def signing(self, now: float) -> list[str]:
        """The secrets that sign at `now` (seconds since the epoch), the newest first."""
        return [s.text for s in self.secrets if s.valid_until is None or s.valid_until > now]


def endpoint_id(*parts: str) -> str:
    """The id of the endpoint that `parts` name, as 32 hexadecimal digits."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:ID_DIGITS]


def new_secret() -> str:
    """A random secret."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def secret_key(secret: str) -> bytes:
    """The key of a secret. Raises PermanentError, without the secret, for another form."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise PermanentError(
            f"a webhook secret must be {SECRET_PREFIX} and base64 of {SECRET_BYTES_MIN} to "
            f"{SECRET_BYTES_MAX} bytes"
        )
    return key


def signed_headers(
    event_id: str, body: bytes, signing_secrets: Iterable[str], now: float
) -> Mapping[str, str]:
    """The headers of a call, signed at `now` (seconds since the epoch) by each secret."""
    timestamp = str(int(now))
    content = f"{event_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(secret_key(s), content, hashlib.sha256).digest()).decode()
        for s in signing_secrets
    ]
    return {
        ID_HEADER: event_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: " ".join(signatures),
    }
