"""Limits how often an account, and the network of an IP address, may do something in a day.

Uses are counted in windows of a day in a DynamoDB table. Keys are hashes, so the table holds no
address. A request that a limit refuses is not counted by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.platform.counters import Counters, Limit, LimitExceededError, network_of
from services.platform.functions.http import HttpProblem, Problem

USAGE_EXCEEDED = Problem(429, "limit-reached", "Limit reached")
WINDOW_SECONDS = 24 * 3600
_MIB = 1024 * 1024


def usage_exceeded(what: str, retry_after_seconds: float) -> HttpProblem:
    """The 429 for a used-up limit of `what`, such as "uploads a day"."""
    seconds = max(1, round(retry_after_seconds))
    return HttpProblem(
        USAGE_EXCEEDED,
        f"The limit of {what} is reached. Try again in {seconds} seconds.",
        headers={"Retry-After": str(seconds)},
    )


@dataclass(frozen=True)
class DailyLimit:
    """Counts uses of one kind, `what` (such as "uploads"). `table` has the hash key `subject` and
    the TTL `expires_at`. `per_address` is higher than `per_account`: many customers may share an
    address."""

    dynamodb: Any
    table: str
    what: str
    per_account: int
    per_address: int
    clock: Callable[[], float] = time.time

    def take(self, user_id: str, address: str) -> None:
        """Counts one use. Raises HttpProblem 429 when a limit is reached."""
        self.take_for_address(address)
        self._count(f"account {user_id}", self.per_account, "")

    def take_for_address(self, address: str) -> None:
        """Counts one use for the address only. Raises HttpProblem 429."""
        self._count(network_of(address), self.per_address, "from this address")

    def _count(self, subject: str, allowed: int, whose: str) -> None:
        counters = Counters(self.dynamodb, self.table, self.clock)
        try:
            counters.take(Limit(f"{self.what} {subject}", allowed, WINDOW_SECONDS))
        except LimitExceededError as error:
            what = f"{allowed} {self.what} a day {whose}".rstrip()
            raise usage_exceeded(what, error.retry_after_seconds) from None


@dataclass(frozen=True)
class DailyBytes:
    """Limits the bytes that a network uploads in a day to `mib_per_address` MiB, whatever the
    accounts. `table` as for DailyLimit."""

    dynamodb: Any
    table: str
    mib_per_address: int
    clock: Callable[[], float] = time.time

    def take(self, address: str, size: int) -> None:
        """Counts `size` bytes. Raises HttpProblem 429, and counts nothing, when it is more than
        what is left of the day."""
        limit = Limit(
            f"upload bytes {network_of(address)}", self.mib_per_address * _MIB, WINDOW_SECONDS
        )
        try:
            Counters(self.dynamodb, self.table, self.clock).take(limit, size)
        except LimitExceededError as error:
            what = f"{self.mib_per_address:,} MiB of uploads a day from this address"
            raise usage_exceeded(what, error.retry_after_seconds) from None
