"""Declined payments by the network that ordered, so that cards cannot be tried with many accounts.

The table of uses notes for each order which counter its decline counts for, as hashes; the database
has no network. A decline counts when the provider reports it, so orders that are under way then
exceed the limit by their number, which the orders of a day bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.platform.counters import Counters, Limit, network_of

WINDOW_SECONDS = 3600
# Longer than a workflow waits for a payment.
ASSIGNED_SECONDS = 2 * 24 * 3600


@dataclass(frozen=True)
class DeclinedPayments:
    """Counts declined payments of a network. `table` has the hash key `subject` and the TTL
    `expires_at`."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    @property
    def _counters(self) -> Counters:
        return Counters(self.dynamodb, self.table, self.clock)

    def check(self, address: str, per_hour: int) -> None:
        """Raises LimitExceededError when `per_hour` payments from the network of the IP address
        were declined in this hour."""
        self._counters.check(Limit(_counter(address), per_hour, WINDOW_SECONDS))

    def assign(self, order_id: str, address: str) -> None:
        """Notes the network that an order came from."""
        self._counters.assign(_name(order_id), _counter(address), ASSIGNED_SECONDS)

    def count(self, order_id: str) -> None:
        """Counts the declined payment of an order; a repetition counts nothing. Raises
        TransientError."""
        self._counters.count_assigned(_name(order_id), WINDOW_SECONDS)


def _name(order_id: str) -> str:
    return f"network of order {order_id}"


def _counter(address: str) -> str:
    return f"declined payments {network_of(address)}"
