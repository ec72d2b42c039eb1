"""Signatures of requests, compared with the steps of Signature Version 4."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest

from services.platform.aws import clients
from services.platform.aws.signing import signed_headers
from services.platform.otlp import Recorder

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ADDRESS = "https://xray.eu-central-1.amazonaws.com/v1/traces"
BODY = b'{"resourceSpans":[]}'


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    clients.session.cache_clear()


def _digest(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def test_signature_follows_the_specification() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    found = signed_headers(
        ADDRESS, BODY, {"content-type": "application/json"}, service="xray", region="eu-central-1"
    )
    headers = {name.lower(): value for name, value in found.items()}
    when = headers["x-amz-date"]
    scope = f"{when[:8]}/eu-central-1/xray/aws4_request"
    parts = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})",
        headers["authorization"],
    )
    assert parts is not None
    credential, signed, signature = parts.groups()
    assert credential == f"{KEY_ID}/{scope}"
    assert {"content-type", "host", "x-amz-date", "x-amz-security-token"} <= set(signed.split(";"))
    headers["host"] = "xray.eu-central-1.amazonaws.com"
    lines = "".join(f"{name}:{headers[name]}\n" for name in signed.split(";"))
    request = f"POST\n/v1/traces\n\n{lines}\n{signed}\n{hashlib.sha256(BODY).hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = _digest(key, part)
    assert signature == _digest(key, text).hex()


@pytest.mark.parametrize(
    ("address", "signed"),
    [
        (ADDRESS, True),
        ("https://xray.cn-north-1.amazonaws.com.cn/v1/traces", True),
        ("http://localhost:4318/v1/traces", False),
        # The owner of this name could use a signature for calls in the account.
        ("https://xray.eu-central-1.amazonaws.com.example/v1/traces", False),
    ],
)
def test_exports_are_signed_for_x_ray_alone(address: str, signed: bool) -> None:
    recorder = Recorder(address.removesuffix("/v1/traces"), {"x-own": "1"}, "example")
    headers = {name.lower() for name in recorder.request_headers(address, BODY)}
    assert {"content-type", "x-own"} <= headers
    assert ("authorization" in headers) is signed


def test_without_credentials_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    clients.session.cache_clear()
    assert signed_headers(ADDRESS, BODY, {"a": "b"}, service="xray", region="r") == {"a": "b"}
