"""Calls of AWS close to the end of an invocation."""

from __future__ import annotations

import pytest

from services.platform import deadline
from services.platform.aws import clients
from tests.support.loopback import Reply, record_delays, serving


@pytest.mark.parametrize("seconds_left", [60.0, 5.0], ids=["usual-timeout", "short-timeout"])
def test_request_waits_for_no_acknowledgement(
    seconds_left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr(deadline, "seconds_left", lambda: seconds_left)
    delayed = record_delays(monkeypatch)
    with serving(lambda _: Reply(200, {"TableNames": []})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        clients.client.__wrapped__("dynamodb").list_tables()
    assert delayed
    assert not any(delayed)
