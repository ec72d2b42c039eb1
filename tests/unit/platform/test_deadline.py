"""Calls of services end before the invocation does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from botocore.exceptions import ConnectTimeoutError, HTTPClientError

from services.platform import deadline
from services.platform.aws import clients
from services.platform.aws.errors import is_transient
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
        clients.client("dynamodb")  # creating it may take longer than the call
        started = time.monotonic()
        with (
            deadline.invocation(3_000),
            pytest.raises(HTTPClientError) as caught,
        ):
            clients.client("dynamodb").list_tables()
        assert time.monotonic() - started < 3.0
        assert is_transient(caught.value)
        assert len(service.received) >= 1


def test_call_with_little_time_left_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Reply(200, {"TableNames": ["a"]})) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        clients.client("dynamodb")
        with deadline.invocation(3_000):
            assert clients.client("dynamodb").list_tables()["TableNames"] == ["a"]


def test_call_without_time_left_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(hang) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        with (
            deadline.invocation(1_200),
            pytest.raises(ConnectTimeoutError) as caught,
        ):
            clients.client("dynamodb").list_tables()
        assert is_transient(caught.value)
        assert service.received == []


def test_call_of_a_service_that_fails_close_to_the_end_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(lambda _: Reply(500, {"__type": "InternalServerError"})) as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL", service.url)
        client = clients.client("dynamodb")
        with deadline.invocation(2_500), pytest.raises(TransientError, match="status 500"):
            client.list_tables()
        assert len(service.received) == 1


def test_seconds_left_outside_an_invocation_is_infinite() -> None:
    with deadline.invocation(5_000):
        assert 3.5 < deadline.seconds_left() <= 4.0
    assert deadline.seconds_left() == math.inf


def test_reserve_leaves_time_for_a_last_call() -> None:
    with deadline.invocation(900):
        assert deadline.seconds_left() < 0
        with deadline.reserve():
            assert 0 < deadline.seconds_left() <= 0.9
        assert deadline.seconds_left() < 0
