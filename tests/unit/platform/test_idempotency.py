"""The idempotency store where a real table does not go on request: an SDK that sends twice. All
else it promises is tested on one, in tests/integration/test_idempotency.py."""

from __future__ import annotations

from typing import Any

import pytest

from services.platform.errors import ConfigurationError
from services.platform.idempotency import (
    AlreadyInProgressError,
    Claim,
    Completed,
    IdempotencyStore,
    LostClaimError,
)
from tests.support.exactly_once import Table

LEASE_SECONDS, KEEP_SECONDS = 30.0, 3600.0


class Resending(Table):
    """The answer to the first write that is done is lost, and the SDK sends it again."""

    lost = 0

    def put_item(self, **request: Any) -> dict[str, Any]:
        super().put_item(**request)
        return self._again(super().put_item, request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        super().update_item(**request)
        return self._again(super().update_item, request)

    def _again(self, write: Any, request: dict[str, Any]) -> dict[str, Any]:
        if self.lost == 0:
            return {}
        self.lost -= 1
        answer: dict[str, Any] = write(**request)
        return answer


class World:
    """A table, a clock, and the store on both."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.table = Resending()
        self.store = IdempotencyStore(
            self.table, "idempotency", LEASE_SECONDS, KEEP_SECONDS, lambda: self.now
        )

    def claimed(self) -> Claim:
        claim = self.store.claim("k", "p")
        assert isinstance(claim, Claim)
        return claim


@pytest.fixture
def world() -> World:
    return World()


def test_a_claim_that_was_sent_twice_is_held(world: World) -> None:
    """Or its owner would wait for itself, and the next would have to ask what it did."""
    world.table.lost = 1
    claim = world.claimed()
    assert not claim.takes_over
    with pytest.raises(AlreadyInProgressError):
        world.store.claim("k", "p")
    world.store.complete(claim, "done")
    assert world.store.claim("k", "p") == Completed("done")


def test_a_take_over_that_was_sent_twice_is_held(world: World) -> None:
    first = world.claimed()
    world.now += LEASE_SECONDS + 1
    world.table.lost = 1
    second = world.claimed()
    assert second.takes_over
    with pytest.raises(LostClaimError):
        world.store.complete(first, "late")
    world.store.complete(second, "done")


def test_a_result_that_was_sent_twice_is_stored(world: World) -> None:
    """The owner cannot distinguish this from a lost claim; the next caller gets the result."""
    claim = world.claimed()
    world.table.lost = 1
    with pytest.raises(LostClaimError):
        world.store.complete(claim, "done")
    assert world.store.claim("k", "p") == Completed("done")


@pytest.mark.parametrize("keep_seconds", [0.0, LEASE_SECONDS - 1, LEASE_SECONDS])
def test_records_outlive_leases(keep_seconds: float) -> None:
    """A record past its time counts as absent, also that of a living owner."""
    with pytest.raises(ConfigurationError, match="kept for longer than a lease of 30 s"):
        IdempotencyStore(Table(), "idempotency", LEASE_SECONDS, keep_seconds)
