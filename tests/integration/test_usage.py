"""Daily limits, counted in DynamoDB."""

from __future__ import annotations

import uuid
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from services.catalog.api import UploadRequest
from services.catalog.request_upload import RequestUpload, StorageLimit
from services.catalog.store import Catalog
from services.platform.functions.access import Caller
from services.platform.functions.http import HttpProblem, Request
from services.platform.usage import WINDOW_SECONDS, DailyBytes, DailyLimit
from tests.integration.conftest import Provisioned
from tests.support.at_once import at_once
from tests.support.clock import Clock

DAY = 20_000
MIB = 1024 * 1024


@pytest.fixture
def clock() -> Clock:
    return Clock(float(DAY * WINDOW_SECONDS))


@pytest.fixture
def limit(provisioned: Provisioned, clock: Clock) -> DailyLimit:
    client, table = provisioned.session.client("dynamodb"), provisioned.lab.table("usage")
    return DailyLimit(client, table, "uploads", per_account=2, per_address=3, clock=clock)


def test_account_over_its_limit_waits_until_the_day_ends(limit: DailyLimit, clock: Clock) -> None:
    user = uuid.uuid4().hex
    for _ in range(2):
        limit.take(user, "192.0.2.1")
    clock.now += 3600
    with pytest.raises(HttpProblem) as refused:
        limit.take(user, "192.0.2.2")
    assert refused.value.problem.status == 429
    assert refused.value.headers["Retry-After"] == str(23 * 3600)
    assert "2 uploads a day" in str(refused.value.detail)
    clock.now += 23 * 3600
    limit.take(user, "192.0.2.2")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_address_over_its_limit_is_refused_for_every_account(
    limit: DailyLimit, first: str, second: str, same: bool
) -> None:
    for _ in range(3):
        limit.take(uuid.uuid4().hex, first)
    if same:
        with pytest.raises(HttpProblem, match="from this address"):
            limit.take(uuid.uuid4().hex, second)
    else:
        limit.take(uuid.uuid4().hex, second)


def test_kinds_of_use_are_counted_apart(limit: DailyLimit) -> None:
    orders = DailyLimit(limit.dynamodb, limit.table, "orders", 2, 3, limit.clock)
    user = uuid.uuid4().hex
    for one in (limit, orders):
        for _ in range(2):
            one.take(user, "192.0.2.1")


def test_concurrent_uses_do_not_exceed_the_limit(limit: DailyLimit) -> None:
    user = uuid.uuid4().hex
    refused: list[HttpProblem] = []

    def take(address: str) -> None:
        try:
            limit.take(user, address)
        except HttpProblem as problem:
            refused.append(problem)

    at_once([partial(take, f"192.0.2.{n}") for n in range(8)])
    assert len(refused) == 6


def test_counters_hold_no_address_and_no_account(limit: DailyLimit) -> None:
    user = uuid.uuid4().hex
    limit.take(user, "192.0.2.77")
    stored = str(limit.dynamodb.scan(TableName=limit.table)["Items"])
    assert user not in stored
    assert "192.0.2.77" not in stored
    assert str((DAY + 1) * WINDOW_SECONDS) in stored


@pytest.fixture
def traffic(limit: DailyLimit) -> DailyBytes:
    return DailyBytes(limit.dynamodb, limit.table, mib_per_address=2, clock=limit.clock)


def test_bytes_of_a_network_wait_until_the_day_ends(traffic: DailyBytes, clock: Clock) -> None:
    traffic.take("192.0.2.1", MIB)
    clock.now += 3600
    with pytest.raises(HttpProblem) as refused:
        traffic.take("192.0.2.1", MIB + 1)
    assert refused.value.problem.status == 429
    assert refused.value.headers["Retry-After"] == str(23 * 3600)
    assert "2 MiB of uploads a day from this address" in str(refused.value.detail)
    # A refused request counts nothing, and other networks count apart.
    traffic.take("192.0.2.1", MIB)
    traffic.take("192.0.2.2", 2 * MIB)
    with pytest.raises(HttpProblem):
        traffic.take("192.0.2.1", 1)
    with pytest.raises(HttpProblem):
        traffic.take("192.0.2.3", 2 * MIB + 1)
    clock.now += 23 * 3600
    traffic.take("192.0.2.1", 2 * MIB)


def test_concurrent_uploads_do_not_exceed_the_bytes_of_a_network(traffic: DailyBytes) -> None:
    taken: list[str] = []

    def take() -> None:
        traffic.take("192.0.2.1", MIB // 2)
        taken.append("taken")

    def attempt() -> None:
        with suppress(HttpProblem):
            take()

    at_once([attempt for _ in range(8)])
    assert len(taken) == 4


def upload_function(
    provisioned: Provisioned, limit: DailyLimit, traffic: DailyBytes
) -> RequestUpload:
    return RequestUpload(
        provisioned.session.client("s3"),
        provisioned.lab.bucket("originals"),
        MIB,
        15,
        ("standard",),
        limit,
        StorageLimit(Catalog(limit.dynamodb, provisioned.lab.table("images")), 2**30),
        traffic,
    )


def ask(function: RequestUpload, user_id: str, size: int | None = None) -> Any:
    """The body of the answer to a request for an upload."""
    body = UploadRequest(filename="a.jpg", content_type="image/jpeg", bytes=size)
    caller = Caller(user_id, "anna@darkroom.example", "customer", "session", 2**40)
    request = Request(body, None, {}, "/uploads", "192.0.2.9", "r", b"", caller)
    return function.handle(request).body


def test_request_upload_over_the_limit_gives_no_form(
    provisioned: Provisioned, limit: DailyLimit, traffic: DailyBytes
) -> None:
    function, user = upload_function(provisioned, limit, traffic), uuid.uuid4().hex
    assert ask(function, user)
    assert ask(function, user)
    with pytest.raises(HttpProblem) as refused:
        ask(function, user)
    assert refused.value.problem.slug == "limit-reached"


def test_request_upload_counts_the_size_that_the_form_allows(
    provisioned: Provisioned, limit: DailyLimit, traffic: DailyBytes
) -> None:
    function = upload_function(provisioned, limit, traffic)
    first, second = uuid.uuid4().hex, uuid.uuid4().hex
    assert ask(function, first).bytes_max == MIB
    assert ask(function, first, MIB // 2).bytes_max == MIB // 2
    with pytest.raises(HttpProblem, match="MiB of uploads a day from this address"):
        ask(function, second, MIB // 2 + 1)


def test_request_upload_with_a_size_beyond_the_largest_photo_allows_the_largest(
    provisioned: Provisioned, limit: DailyLimit, traffic: DailyBytes
) -> None:
    function = upload_function(provisioned, limit, traffic)
    assert ask(function, uuid.uuid4().hex, 3 * MIB).bytes_max == MIB
