"""TOTP: the test vectors of RFC 4226 and RFC 6238, and the accepted steps."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from services.accounts import totp

SECRET = b"12345678901234567890"
HOTP = (
    "755224", "287082", "359152", "969429", "338314",
    "254676", "287922", "162583", "399871", "520489",
)  # fmt: skip


@pytest.mark.parametrize(("counter", "code"), list(enumerate(HOTP)))
def test_hotp_matches_rfc_4226_appendix_d(counter: int, code: str) -> None:
    assert totp.hotp(SECRET, counter) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_totp_matches_rfc_6238_appendix_b(seconds: int, code: str) -> None:
    step = totp.step_at(seconds)
    assert totp.hotp(SECRET, step, 8) == code
    assert totp.matching_step(SECRET, code[-6:], seconds) == step


@pytest.mark.parametrize(
    ("around", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_code_is_accepted_one_step_around_its_time(around: int, accepted: bool) -> None:
    now = 1_800_000_000.0
    step = totp.step_at(now) + around
    found = totp.matching_step(SECRET, totp.hotp(SECRET, step), now)
    assert found == (step if accepted else None)


@pytest.mark.parametrize("code", ["", "75522", "7552244", "75522O", "\u0667" * 6])
def test_text_that_is_no_code_is_refused(code: str) -> None:
    assert totp.matching_step(SECRET, code, 59.0) is None


def test_uri_has_secret_issuer_and_address() -> None:
    uri = urlsplit(totp.otpauth_uri(SECRET, "ada+lab@example.com"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Darkroom:ada+lab@example.com"
    assert parse_qs(uri.query) == {
        "secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"],
        "issuer": ["Darkroom"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
