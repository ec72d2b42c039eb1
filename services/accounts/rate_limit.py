"""Limits attempts to sign in, so that passwords cannot be guessed.

Attempts are counted before the password is verified, in windows of WINDOW_SECONDS: per account
(whether it exists or not) and per client network. An attacker can therefore lock an account for the
rest of a window; open sessions are not affected.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.accounts.model import normalize_email
from services.platform.aws.items import from_item, to_attribute, to_item
from services.platform.errors import PermanentError

WINDOW_SECONDS = 15 * 60
ACCOUNT_ATTEMPTS = 10
# Many users of an office or a school share one address.
ADDRESS_ATTEMPTS = 100
# Providers assign networks of this size, and their users choose addresses within them freely.
IPV6_PREFIX = 64


class TooManyAttemptsError(PermanentError):
    """The attempts of this window are used up."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"too many attempts to sign in; try again in {retry_after_seconds} s")


@dataclass(frozen=True)
class SignInLimit:
    """Counters in the table `sign-in-attempts`, one a subject and window. A subject is the hash of
    an account's address or of a client network."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    def count(self, email: str, address: str) -> None:
        """Counts an attempt. Raises TooManyAttemptsError when the limit is exceeded.

        An attempt from a network over its limit does not count for the account.
        """
        self._count(_address(address), ADDRESS_ATTEMPTS)
        self._count(_account(email), ACCOUNT_ATTEMPTS)

    def reset_account(self, email: str) -> None:
        """Resets the account's counter after a successful sign-in; not the network's."""
        subject, _ = self._subject(_account(email))
        self.dynamodb.delete_item(TableName=self.table, Key=to_item({"subject": subject}))

    def _count(self, name: str, allowed: int) -> None:
        subject, ends_at = self._subject(name)
        answer = self.dynamodb.update_item(
            TableName=self.table,
            Key=to_item({"subject": subject}),
            UpdateExpression="ADD attempts :one SET expires_at = :end",
            ExpressionAttributeValues={":one": to_attribute(1), ":end": to_attribute(ends_at)},
            ReturnValues="UPDATED_NEW",
        )
        if from_item(answer["Attributes"])["attempts"] > allowed:
            raise TooManyAttemptsError(max(1, round(ends_at - self.clock())))

    def _subject(self, name: str) -> tuple[str, int]:
        """The key of the current window's counter, and the end of the window (epoch seconds)."""
        window = int(self.clock()) // WINDOW_SECONDS
        digest = hashlib.sha256(name.encode()).hexdigest()
        return f"{digest}#{window}", (window + 1) * WINDOW_SECONDS


def _account(email: str) -> str:
    return f"account {normalize_email(email)}"


def _address(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    if parsed.version == 6:
        return f"address {ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False)}"
    return f"address {parsed}"
