"""Opens what a queue message is wrapped in: an SNS notification, or nothing."""

from __future__ import annotations

import json
from typing import Any

from services.platform.errors import PermanentError


def open_envelope(body: str) -> dict[str, Any]:
    """The JSON object that `body` carries, whether SNS wrapped it or it came raw.

    Raises PermanentError when there is no JSON object in it.
    """
    document = _object(body, "a message body")
    if document.get("Type") == "Notification" and isinstance(document.get("Message"), str):
        return _object(document["Message"], "the Message of an SNS notification")
    return document


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PermanentError(f"expected {what} in JSON, got {text[:80]!r} ({error})") from None
    if not isinstance(document, dict):
        raise PermanentError(f"expected {what} to be a JSON object, got {text[:80]!r}")
    return document
