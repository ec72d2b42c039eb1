"""Calls of AWS close to the end of an invocation."""

from __future__ import annotations

import socket

import pytest

from services.platform import deadline
from services.platform.aws import clients
from services.platform.aws.errors import is_transient
from tests.support.loopback import LOOPBACK, Reply, record_delays, serving


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.mark.parametrize("seconds_left", [60.0, 5.0], ids=["usual-timeout", "short-timeout"])
def test_request_waits_for_no_acknowledgement(
    seconds_left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline, "seconds_left", lambda: seconds_left)
    delayed = record_delays(monkeypatch)
    with serving(lambda _: Reply(200, {"TableNames": []})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        clients.client.__wrapped__("dynamodb").list_tables()
    assert delayed
    assert not any(delayed)


def test_call_of_a_service_that_hangs_leaves_time_for_the_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The kernel accepts connections; nothing reads from them.
    with socket.create_server((LOOPBACK, 0)) as hung:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{LOOPBACK}:{hung.getsockname()[1]}")
        dynamodb = clients.client.__wrapped__("dynamodb")
        with deadline.invocation(5_000):
            with pytest.raises(Exception, match=r"(?i)timeout|no time left") as raised:
                dynamodb.list_tables()
            assert deadline.seconds_left() > -deadline.RESERVE_SECONDS
    assert is_transient(raised.value)
