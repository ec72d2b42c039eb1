"""The idempotency store on the emulator's table, with a clock that the test sets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.platform.idempotency import (
    AlreadyInProgressError,
    Claim,
    Completed,
    IdempotencyStore,
    LostClaimError,
    PayloadMismatchError,
)
from tests.integration.conftest import Provisioned
from tests.support.clock import Clock

LEASE_SECONDS, KEEP_SECONDS = 30.0, 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0)


@pytest.fixture
def store(provisioned: Provisioned, clock: Clock) -> IdempotencyStore:
    return IdempotencyStore(
        provisioned.session.client("dynamodb"),
        provisioned.lab.table("idempotency"),
        LEASE_SECONDS,
        KEEP_SECONDS,
        clock,
    )


def claimed(store: IdempotencyStore, payload: object = "p") -> Claim:
    claim = store.claim("k", payload)
    assert isinstance(claim, Claim)
    return claim


def test_claim_completed_returns_the_result(store: IdempotencyStore) -> None:
    store.complete(claimed(store), {"charge": "ch_1"})
    assert store.claim("k", "p") == Completed({"charge": "ch_1"})


def test_claim_held_by_another_raises_in_progress(store: IdempotencyStore, clock: Clock) -> None:
    claimed(store)
    clock.now += LEASE_SECONDS - 1
    with pytest.raises(AlreadyInProgressError):
        store.claim("k", "p")


def test_claim_expired_is_taken_over_once(store: IdempotencyStore, clock: Clock) -> None:
    first = claimed(store)
    assert not first.takes_over
    clock.now += LEASE_SECONDS + 1
    assert claimed(store).takes_over
    with pytest.raises(AlreadyInProgressError):
        store.claim("k", "p")


def test_owner_after_its_lease_cannot_change_the_successors_claim(
    store: IdempotencyStore, clock: Clock
) -> None:
    first = claimed(store)
    clock.now += LEASE_SECONDS + 1
    second = claimed(store)
    with pytest.raises(LostClaimError):
        store.complete(first, "late")
    with pytest.raises(LostClaimError):
        store.release(first)
    with pytest.raises(LostClaimError):
        store.abandon(first)
    store.complete(second, "right")
    with pytest.raises(LostClaimError):
        store.complete(first, "later still")
    assert store.claim("k", "p") == Completed("right")


def test_claim_abandoned_is_taken_over_at_once(store: IdempotencyStore) -> None:
    claim = claimed(store)
    store.abandon(claim)
    assert claimed(store).takes_over
    with pytest.raises(LostClaimError):
        store.complete(claim)


def test_claim_released_is_free(store: IdempotencyStore) -> None:
    store.release(claimed(store))
    assert not claimed(store).takes_over


@pytest.mark.parametrize("completed", [False, True])
def test_claim_with_another_payload_is_refused(store: IdempotencyStore, completed: bool) -> None:
    claim = claimed(store, {"amount": 1})
    if completed:
        store.complete(claim)
    with pytest.raises(PayloadMismatchError, match="another payload"):
        store.claim("k", {"amount": 2})


def test_claim_after_record_expiry_is_free(store: IdempotencyStore, clock: Clock) -> None:
    store.complete(claimed(store), "old")
    clock.now += KEEP_SECONDS + 1
    assert not claimed(store, "another payload").takes_over


def test_run_once_replays_and_releases_the_key_on_error(store: IdempotencyStore) -> None:
    calls = []

    def fails() -> None:
        calls.append("failed")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.run_once("k", "p", fails)

    def works() -> str:
        calls.append("done")
        return "result"

    for _ in range(2):
        assert store.run_once("k", "p", works) == "result"
    assert calls == ["failed", "done"]


def test_claim_concurrent_callers_one_gets_it(store: IdempotencyStore, clock: Clock) -> None:
    def claim(_: int) -> Claim | None:
        try:
            found = store.claim("k", "p")
        except AlreadyInProgressError:
            return None
        assert isinstance(found, Claim)
        return found

    # For a free key, and for a key whose lease has ended.
    for takes_over in (False, True):
        with ThreadPoolExecutor(8) as pool:
            (won,) = filter(None, pool.map(claim, range(16)))
        assert won.takes_over == takes_over
        clock.now += LEASE_SECONDS + 1


def test_records_have_a_time_to_live(
    store: IdempotencyStore, provisioned: Provisioned, clock: Clock
) -> None:
    """In the attribute that the table's time to live uses; it restarts with the result."""
    client = provisioned.session.client("dynamodb")

    def expires_at() -> int:
        item = client.get_item(TableName=store.table, Key={"key": {"S": "k"}}, ConsistentRead=True)[
            "Item"
        ]
        return int(item[attribute]["N"])

    declared: dict[str, Any] = client.describe_time_to_live(TableName=store.table)
    assert declared["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    attribute = declared["TimeToLiveDescription"]["AttributeName"]
    claim = claimed(store)
    assert expires_at() == clock.now + KEEP_SECONDS
    clock.now += 10
    store.complete(claim, "done")
    assert expires_at() == clock.now + KEEP_SECONDS


def test_payload_comparison_ignores_the_order_of_keys(store: IdempotencyStore) -> None:
    claim = claimed(store, {"amount": 1, "order": {"id": "ö", "lines": [1, 2]}})
    store.complete(claim, None)
    assert store.claim("k", {"order": {"lines": [1, 2], "id": "ö"}, "amount": 1}) == Completed(None)
    with pytest.raises(PayloadMismatchError):
        store.claim("k", {"order": {"lines": [2, 1], "id": "ö"}, "amount": 1})


def test_payload_is_not_stored(store: IdempotencyStore, provisioned: Provisioned) -> None:
    """It may hold personal data: the table stores only its hash."""
    claimed(store, {"email": "anna@darkroom.example"})
    found = provisioned.session.client("dynamodb").scan(TableName=store.table)["Items"]
    assert "anna" not in str(found)


def test_keys_are_independent(store: IdempotencyStore) -> None:
    store.complete(claimed(store), "k's")
    assert isinstance(store.claim("another", "another payload"), Claim)
