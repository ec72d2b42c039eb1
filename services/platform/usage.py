"""Limits how often an account, and the network of an IP address, may do something in a day.

Uses are counted in windows of a day in a DynamoDB table. Keys are hashes, so the table holds no
address. A request that a limit refuses is not counted by it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.platform.aws.items import to_attribute, to_item
from services.platform.functions.http import HttpProblem, Problem

USAGE_EXCEEDED = Problem(429, "limit-reached", "Limit reached")
WINDOW_SECONDS = 24 * 3600
# Providers assign networks of this size, and their users choose addresses within them freely.
IPV6_PREFIX = 64


def usage_exceeded(what: str, retry_after_seconds: float) -> HttpProblem:
    """The 429 for a used-up limit of `what`, such as "uploads a day"."""
    seconds = max(1, round(retry_after_seconds))
    return HttpProblem(
        USAGE_EXCEEDED,
        f"The limit of {what} is reached. Try again in {seconds} seconds.",
        headers={"Retry-After": str(seconds)},
    )


def network_of(address: str) -> str:
    """The network that an IP address counts for: the address itself, or its IPv6 /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


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
        self._count(f"address {network_of(address)}", self.per_address, "from this address")

    def _count(self, subject: str, allowed: int, whose: str) -> None:
        now = self.clock()
        window = int(now) // WINDOW_SECONDS
        ends_at = (window + 1) * WINDOW_SECONDS
        digest = hashlib.sha256(f"{self.what} {subject}".encode()).hexdigest()
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=to_item({"subject": f"{digest}#{window}"}),
                UpdateExpression="ADD uses :one SET expires_at = :end",
                ConditionExpression="attribute_not_exists(uses) OR uses < :allowed",
                ExpressionAttributeValues={
                    ":one": to_attribute(1),
                    ":end": to_attribute(ends_at),
                    ":allowed": to_attribute(allowed),
                },
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            what = f"{allowed} {self.what} a day {whose}".rstrip()
            raise usage_exceeded(what, ends_at - now) from None
