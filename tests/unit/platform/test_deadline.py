"""Calls of services end before the invocation does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from services.platform import deadline
from services.platform.aws import clients
from services.platform.errors import TransientError
from tests.support.loopback import Received, Reply, serving


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    clients.client.cache_clear()
    clients._session.cache_clear()
    clients._http_session.cache_clear()
    yield
    clients.client.cache_clear()
    clients._session.cache_clear()
    clients._http_session.cache_clear()


def hang(_: Received) -> Reply:
    time.sleep(4)
    return Reply(200)


def test_call_of_a_service_that_hangs_ends_before_the_invocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(hang) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        started = time.monotonic()
        with (
            deadline.invocation(3_000),
            pytest.raises(TransientError, match="no time left"),
        ):
            clients.client("dynamodb").list_tables()
        assert time.monotonic() - started < 3.0
        assert len(service.received) >= 1


def test_call_with_little_time_left_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Reply(200, {"TableNames": ["a"]})) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        with deadline.invocation(3_000):
            assert clients.client("dynamodb").list_tables()["TableNames"] == ["a"]


def test_call_without_time_left_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hang) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        with (
            deadline.invocation(1_200),
            pytest.raises(TransientError, match="no time left"),
        ):
            clients.client("dynamodb").list_tables()
        assert service.received == []


def test_seconds_left_outside_an_invocation_is_infinite() -> None:
    with deadline.invocation(5_000):
        assert 3.5 < deadline.seconds_left() <= 4.0
    assert deadline.seconds_left() == math.inf
