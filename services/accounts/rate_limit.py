"""Limits failed attempts to sign in, so that passwords cannot be guessed.

Failures are counted in windows of WINDOW_SECONDS. From a network from which the account signed in
before (a known network), they count for that account and network only. From any other network, they
count for the network, and for the account (whether it exists or not). An attacker can therefore
lock an account for unknown networks, but not for the networks that its owner uses.

Every attempt is counted before the password is verified, so that concurrent attempts cannot exceed
the limit, and uncounted when it did not fail.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from services.accounts import api
from services.accounts.model import normalize_email
from services.platform.aws.items import Item, from_item, to_attribute, to_item
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.http import HttpProblem

WINDOW_SECONDS = 15 * 60
# A network stays known for this long after the account's last sign-in from it.
KNOWN_NETWORK_SECONDS = 90 * 24 * 3600
ACCOUNT_ATTEMPTS = 10
# Many users of an office or a school share one address.
ADDRESS_ATTEMPTS = 100
# Providers assign networks of this size, and their users choose addresses within them freely.
IPV6_PREFIX = 64


class TooManyAttemptsError(PermanentError):
    """The failed attempts of this window are used up."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(
            f"too many failed attempts to sign in; try again in {retry_after_seconds} s"
        )


@dataclass(frozen=True)
class Attempt:
    """A counted attempt. `counters` are the keys of its counters."""

    known_network: str
    is_known: bool
    counters: tuple[str, ...]


@dataclass(frozen=True)
class SignInLimit:
    """Items in the table `sign-in-attempts`: a counter for each subject and window, and a marker
    for each known network of an account. Keys are hashes."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    @contextmanager
    def verification(self, email: str, address: str) -> Iterator[Attempt]:
        """Counts an attempt, as `count`, for a `with` block that verifies the password. Withdraws
        it if the block raises TransientError. Raises HttpProblem 429 when a limit is exceeded."""
        try:
            attempt = self.count(email, address)
        except TooManyAttemptsError as error:
            raise HttpProblem(
                api.TOO_MANY_ATTEMPTS,
                f"Try again in {error.retry_after_seconds} seconds.",
                headers={"Retry-After": str(error.retry_after_seconds)},
            ) from None
        try:
            yield attempt
        except TransientError:
            self.withdraw(attempt)
            raise

    def count(self, email: str, address: str) -> Attempt:
        """Counts an attempt to sign in to the account `email` from the IP address `address`.

        Call `succeeded` or `withdraw` with the result, unless the attempt fails. Raises
        TooManyAttemptsError when a limit is exceeded; an attempt from an unknown network over its
        limit does not count for the account.
        """
        network, account = _network(address), _account(email)
        pair = f"{account} {network}"
        marker = _hash(f"known {pair}")
        is_known = self._is_marked(marker)
        limits = (
            ((pair, ACCOUNT_ATTEMPTS),)
            if is_known
            else ((network, ADDRESS_ATTEMPTS), (account, ACCOUNT_ATTEMPTS))
        )
        return Attempt(marker, is_known, tuple(self._count(*limit) for limit in limits))

    def succeeded(self, attempt: Attempt) -> None:
        """Marks the network as known to the account, and uncounts the attempt; on a known network,
        the failures before it as well."""
        if attempt.is_known:
            for counter in attempt.counters:
                self._update(counter, "SET attempts = :number", 0)
        else:
            self.withdraw(attempt)
        expires_at = int(self.clock()) + KNOWN_NETWORK_SECONDS
        self.dynamodb.put_item(
            TableName=self.table,
            Item=to_item({"subject": attempt.known_network, "expires_at": expires_at}),
        )

    def withdraw(self, attempt: Attempt) -> None:
        """Uncounts an attempt that neither failed nor succeeded, such as during an outage."""
        for counter in attempt.counters:
            self._update(counter, "ADD attempts :number", -1)

    def _update(self, counter: str, expression: str, number: int) -> None:
        # The counter of an earlier window may be deleted.
        with suppress(self.dynamodb.exceptions.ConditionalCheckFailedException):
            self.dynamodb.update_item(
                TableName=self.table,
                Key=_key(counter),
                UpdateExpression=expression,
                ConditionExpression="attribute_exists(subject)",
                ExpressionAttributeValues={":number": to_attribute(number)},
            )

    def _is_marked(self, marker: str) -> bool:
        answer = self.dynamodb.get_item(TableName=self.table, Key=_key(marker), ConsistentRead=True)
        # DynamoDB deletes expired items late.
        return "Item" in answer and from_item(answer["Item"])["expires_at"] > self.clock()

    def _count(self, name: str, allowed: int) -> str:
        """Adds one to the counter of `name`, and returns its key. Raises TooManyAttemptsError."""
        subject, ends_at = self._subject(name)
        answer = self.dynamodb.update_item(
            TableName=self.table,
            Key=_key(subject),
            UpdateExpression="ADD attempts :one SET expires_at = :end",
            ExpressionAttributeValues={":one": to_attribute(1), ":end": to_attribute(ends_at)},
            ReturnValues="UPDATED_NEW",
        )
        if from_item(answer["Attributes"])["attempts"] > allowed:
            raise TooManyAttemptsError(max(1, round(ends_at - self.clock())))
        return subject

    def _subject(self, name: str) -> tuple[str, int]:
        """The key of the current window's counter, and the end of the window (epoch seconds)."""
        window = int(self.clock()) // WINDOW_SECONDS
        return f"{_hash(name)}#{window}", (window + 1) * WINDOW_SECONDS


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _key(subject: str) -> Item:
    return to_item({"subject": subject})


def _account(email: str) -> str:
    return f"account {normalize_email(email)}"


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    if parsed.version == 6:
        return f"address {ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False)}"
    return f"address {parsed}"
