"""Counts who tries to sign in, so that passwords cannot be guessed.

Attempts are counted before the password is looked at, in windows of WINDOW_SECONDS, for the account
that is asked for (whether it exists or not) and for the address it is asked from. Somebody may so
keep another from signing in for a window; open sessions go on.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.accounts.model import same_address
from services.platform.aws.items import from_item, to_attribute, to_item
from services.platform.errors import PermanentError

WINDOW_SECONDS = 15 * 60
ACCOUNT_ATTEMPTS = 10
# An office or a school may sit behind one address.
ADDRESS_ATTEMPTS = 100
# A household or a server has a network of this size to choose addresses from.
IPV6_PREFIX = 64


class TooManyAttemptsError(PermanentError):
    """No more attempts in this window."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"too many attempts to sign in; again in {retry_after_seconds} s")


@dataclass(frozen=True)
class Attempts:
    """The table `sign-in-attempts`: a counter for each subject and window. Subjects are hashed."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    def count(self, email: str, address: str) -> None:
        """Counts an attempt. Raises TooManyAttemptsError when there were too many before it.

        One from an address that has no attempts left does not count for the account.
        """
        self._count(_address(address), ADDRESS_ATTEMPTS)
        self._count(_account(email), ACCOUNT_ATTEMPTS)

    def forget(self, email: str) -> None:
        """After a success: the account has all its attempts again, the address has not."""
        subject, _ = self._subject(_account(email))
        self.dynamodb.delete_item(TableName=self.table, Key=to_item({"subject": subject}))

    def _count(self, who: str, allowed: int) -> None:
        subject, ends_at = self._subject(who)
        answer = self.dynamodb.update_item(
            TableName=self.table,
            Key=to_item({"subject": subject}),
            UpdateExpression="ADD attempts :one SET expires_at = :end",
            ExpressionAttributeValues={":one": to_attribute(1), ":end": to_attribute(ends_at)},
            ReturnValues="UPDATED_NEW",
        )
        if from_item(answer["Attributes"])["attempts"] > allowed:
            raise TooManyAttemptsError(max(1, round(ends_at - self.clock())))

    def _subject(self, who: str) -> tuple[str, int]:
        """The key of `who` in the present window, and when the window ends."""
        window = int(self.clock()) // WINDOW_SECONDS
        digest = hashlib.sha256(who.encode()).hexdigest()
        return f"{digest}#{window}", (window + 1) * WINDOW_SECONDS


def _account(email: str) -> str:
    return f"account {same_address(email)}"


def _address(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    if parsed.version == 6:
        return f"address {ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False)}"
    return f"address {parsed}"
