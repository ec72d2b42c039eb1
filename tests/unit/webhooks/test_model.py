"""Signatures of webhooks, by the sender and by the receiver's helper and the documented example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from services.client.webhooks import TOLERANCE_SECONDS, WebhookRefusedError, verify
from services.platform.errors import PermanentError
from services.webhooks.model import Endpoint, Secret, new_secret, secret_key, signed_headers

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "webhooks.md"
NOW = 1_800_000_000
BODY = b'{"type": "image.developed"}'


def test_signature_is_that_of_the_specification() -> None:
    # The test vector of the libraries of Standard Webhooks.
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        1_614_265_330,
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def documented(secrets: list[str], headers: dict[str, str], body: bytes, now: float) -> str:
    """Runs the example of the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  our own page's example
    assert len([line for line in code.splitlines() if line.strip()]) <= 14
    try:
        return str(names["verify"](secrets, headers, body, now))
    except ValueError as error:
        raise WebhookRefusedError(str(error)) from None


RECEIVERS = pytest.mark.parametrize("receive", [verify, documented])


@RECEIVERS
def test_either_secret_verifies_during_a_rotation(receive: Any) -> None:
    former, new = new_secret(), new_secret()
    headers = dict(signed_headers("event", BODY, [new, former], NOW))
    for secrets in ([former], [new], [new_secret(), new]):
        assert receive(secrets, headers, BODY, NOW + TOLERANCE_SECONDS) == "event"


@RECEIVERS
@pytest.mark.parametrize(
    ("change", "body", "seconds"),
    [
        ({}, BODY + b" ", 0),
        ({"webhook-id": "other"}, BODY, 0),
        ({"webhook-timestamp": str(NOW + 1)}, BODY, 0),
        ({"webhook-signature": "v1,AAAA v2,AAAA"}, BODY, 0),
        ({"webhook-timestamp": "soon"}, BODY, 0),
        ({}, BODY, TOLERANCE_SECONDS + 1),
        ({}, BODY, -TOLERANCE_SECONDS - 1),
    ],
)
def test_changed_or_old_webhook_is_refused(
    receive: Any, change: dict[str, str], body: bytes, seconds: int
) -> None:
    secret = new_secret()
    headers = {**signed_headers("event", BODY, [secret], NOW), **change}
    with pytest.raises(WebhookRefusedError):
        receive([secret], headers, body, NOW + seconds)


@RECEIVERS
def test_webhook_of_another_secret_is_refused(receive: Any) -> None:
    headers = dict(signed_headers("event", BODY, [new_secret()], NOW))
    with pytest.raises(WebhookRefusedError):
        receive([new_secret()], headers, BODY, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", "x" * 33])
def test_secret_of_another_form_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(PermanentError) as refused:
        secret_key(secret)
    assert len(secret) <= len("whsec_") or secret not in str(refused.value)


def test_former_secret_signs_until_its_end() -> None:
    endpoint = Endpoint(
        "id", "owner", "https://example.com/?key=1", frozenset(), (Secret("new"), Secret("old", 10))
    )
    assert endpoint.signing(9) == ["new", "old"]
    assert endpoint.signing(10) == ["new"]
    assert "key" not in repr(endpoint)
    assert "old" not in repr(endpoint)
