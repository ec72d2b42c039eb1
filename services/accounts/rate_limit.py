"""Limits failed attempts to sign in, so that passwords cannot be guessed.

Failures are counted in windows of WINDOW_SECONDS. With a valid device token of the account, they
count for that device only. From a network from which the account signed in before (a known
network), they count for that account and network only. All others count for the network, and for
the account (whether it exists or not). An attacker can therefore lock an account for unknown
devices in unknown networks, but not for the devices and networks that its owner uses.

Every attempt is counted before the password is verified, so that concurrent attempts cannot exceed
the limit, and uncounted when it did not fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from services.accounts import api
from services.accounts.model import account_of
from services.platform.counters import Counters, Limit, LimitExceededError, network_of
from services.platform.errors import TransientError
from services.platform.functions.http import HttpProblem

WINDOW_SECONDS = 15 * 60
# A network stays known for this long after the account's last sign-in from it.
KNOWN_NETWORK_SECONDS = 90 * 24 * 3600
ACCOUNT_ATTEMPTS = 10
# Many users of an office or a school share one address.
ADDRESS_ATTEMPTS = 100
# The first notices say what there is to say; clients may sign in from many networks.
NOTICES_PER_DAY = 5
# Each new device is an item that the end of all sessions deletes. A client that signs in without
# a device token each time gets no more of them.
DEVICES_PER_DAY = 20
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Attempt:
    """A counted attempt. `is_known`: it came from a known device or network. `counters` are the
    keys of its counters."""

    known_network: str
    is_known: bool
    counters: tuple[str, ...]


@dataclass(frozen=True)
class SignInLimit:
    """Counts failures, and marks the known networks of an account."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    @property
    def counters(self) -> Counters:
        return Counters(self.dynamodb, self.table, self.clock)

    @contextmanager
    def verification(
        self, email: str, address: str, device: str | None = None
    ) -> Iterator[Attempt]:
        """Counts an attempt, as `count`, for a `with` block that verifies the password. Withdraws
        it if the block raises TransientError. Raises HttpProblem 429 when a limit is exceeded."""
        with refused_as_429():
            attempt = self.count(email, address, device)
        try:
            yield attempt
        except TransientError:
            self.withdraw(attempt)
            raise

    def count(self, email: str, address: str, device: str | None = None) -> Attempt:
        """Counts an attempt to sign in to the account `email` from the IP address `address`.
        `device` is the id of a known device of this account.

        Call `succeeded` or `withdraw` with the result, unless the attempt fails. Raises
        LimitExceededError when a limit is exceeded; an attempt from an unknown network over its
        limit does not count for the account.
        """
        network, account = network_of(address), account_of(email)
        pair = f"{account} {network}"
        marker = f"known {pair}"
        is_known = device is not None or self.counters.is_marked(marker)
        limits = (
            ((f"{account} {device}" if device else pair, ACCOUNT_ATTEMPTS),)
            if is_known
            else ((network, ADDRESS_ATTEMPTS), (account, ACCOUNT_ATTEMPTS))
        )
        counted = tuple(
            self.counters.add(Limit(name, allowed, WINDOW_SECONDS)) for name, allowed in limits
        )
        return Attempt(marker, is_known, counted)

    def succeeded(self, attempt: Attempt) -> None:
        """Marks the network as known to the account, and uncounts the attempt; on a known device
        or network, the failures before it as well."""
        if attempt.is_known:
            for counter in attempt.counters:
                self.counters.reset(counter)
        else:
            self.withdraw(attempt)
        self.counters.mark(attempt.known_network, KNOWN_NETWORK_SECONDS)

    def announces(self, email: str, attempt: Attempt) -> bool:
        """Whether the account's owner gets a notice of this successful attempt: it came from a
        device and a network that were not known, and the notices of the day are not used up."""
        name = f"sign-in notices, {account_of(email)}"
        return not attempt.is_known and self._take(Limit(name, NOTICES_PER_DAY, DAY_SECONDS))

    def announces_reuse(self, email: str) -> bool:
        """Whether the account's owner gets a notice of a second factor's code that was sent again:
        the notices of the day are not used up."""
        name = f"notices of reused codes, {account_of(email)}"
        return self._take(Limit(name, NOTICES_PER_DAY, DAY_SECONDS))

    def remembers(self, email: str) -> bool:
        """Whether the account gets one more known device today."""
        return self._take(Limit(f"devices, {account_of(email)}", DEVICES_PER_DAY, DAY_SECONDS))

    def withdraw(self, attempt: Attempt) -> None:
        """Uncounts an attempt that neither failed nor succeeded, such as during an outage."""
        for counter in attempt.counters:
            self.counters.subtract(counter)

    def _take(self, limit: Limit) -> bool:
        """Counts a use. Returns False, and counts nothing, when the limit is reached."""
        try:
            self.counters.take(limit)
        except LimitExceededError:
            return False
        return True


@contextmanager
def refused_as_429() -> Iterator[None]:
    """Turns LimitExceededError into HttpProblem 429."""
    try:
        yield
    except LimitExceededError as error:
        raise HttpProblem(
            api.TOO_MANY_ATTEMPTS,
            f"Try again in {error.retry_after_seconds} seconds.",
            headers={"Retry-After": str(error.retry_after_seconds)},
        ) from None
