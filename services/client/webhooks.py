"""Verifies webhooks, for their receivers. Imports only the standard library.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

TOLERANCE_SECONDS = 300


class WebhookRefusedError(Exception):
    """The webhook was not signed by one of the secrets, or not within the tolerance."""


def verify(
    secrets: Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> str:
    """The id of the webhook with these headers (names in lower case) and this raw body, received at
    `now` (seconds since the epoch). Events may arrive more than once, always with the same id.

    Raises WebhookRefusedError.
    """
    try:
        id_, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        given = [part.encode() for part in headers["webhook-signature"].split()]
        age = abs(now - int(timestamp))
    except (KeyError, ValueError):
        raise WebhookRefusedError("the headers of a webhook are missing or malformed") from None
    content = f"{id_}.{timestamp}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256))
        if any(hmac.compare_digest(expected, signature) for signature in given):
            if age > tolerance_seconds:
                raise WebhookRefusedError(f"the webhook was signed {age:.0f} s ago")
            return id_
    raise WebhookRefusedError("no signature matches")
