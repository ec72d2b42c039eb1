"""Counters of attempts and uses in fixed windows of time, in a DynamoDB table with the hash key
`subject` and the TTL `expires_at`."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from services.platform.aws.items import Item, cancellation_codes, from_item, to_attribute, to_item
from services.platform.errors import PermanentError, TransientError

# Providers assign networks of this size, and their users choose addresses within them freely.
IPV6_PREFIX = 64


class LimitExceededError(PermanentError):
    """The attempts of this window are used up."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"too many attempts; try again in {retry_after_seconds} s")


@dataclass(frozen=True)
class Limit:
    """At most `allowed` attempts of the subject `name` in each window."""

    name: str
    allowed: int
    window_seconds: int


@dataclass(frozen=True)
class Counters:
    """Items of the table: a counter for each subject and window, and markers. Keys are hashes."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    def add(self, limit: Limit) -> str:
        """Counts an attempt; returns the counter's key. Raises LimitExceededError when the limit
        was reached before."""
        subject, ends_at = self._subject(limit)
        answer = self.dynamodb.update_item(
            TableName=self.table,
            Key=_key(subject),
            UpdateExpression="ADD attempts :one SET expires_at = :end",
            ExpressionAttributeValues={":one": to_attribute(1), ":end": to_attribute(ends_at)},
            ReturnValues="UPDATED_NEW",
        )
        if from_item(answer["Attributes"])["attempts"] > limit.allowed:
            raise self._exceeded(ends_at)
        return subject

    def take(self, limit: Limit, amount: int = 1) -> None:
        """Counts a use, or an `amount` of what the limit counts. Raises LimitExceededError, and
        counts nothing, when it is more than what is left."""
        subject, ends_at = self._subject(limit)
        if amount > limit.allowed:
            raise self._exceeded(ends_at)
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=_key(subject),
                UpdateExpression="ADD attempts :amount SET expires_at = :end",
                ConditionExpression="attribute_not_exists(attempts) OR attempts <= :most",
                ExpressionAttributeValues={
                    ":amount": to_attribute(amount),
                    ":end": to_attribute(ends_at),
                    ":most": to_attribute(limit.allowed - amount),
                },
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            raise self._exceeded(ends_at) from None

    def check(self, limit: Limit) -> None:
        """Raises LimitExceededError when the limit is reached. Counts nothing."""
        subject, ends_at = self._subject(limit)
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=_key(subject), ConsistentRead=True
        )
        if "Item" in answer and from_item(answer["Item"])["attempts"] >= limit.allowed:
            raise self._exceeded(ends_at)

    def assign(self, name: str, counter: str, seconds: int) -> None:
        """Lets `count_assigned(name)` count for the subject `counter`, for some seconds."""
        self.dynamodb.put_item(
            TableName=self.table,
            Item=to_item(
                {
                    "subject": _hash(name),
                    "counter": _hash(counter),
                    "expires_at": int(self.clock()) + seconds,
                }
            ),
        )

    def count_assigned(self, name: str, window_seconds: int) -> None:
        """Counts an attempt for the subject that was assigned to `name`, once; does nothing when
        none is, or it was counted before. Raises TransientError when it is counted just now."""
        key = _key(_hash(name))
        answer = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        if "Item" not in answer:
            return
        subject, ends_at = self._window(from_item(answer["Item"])["counter"], window_seconds)
        try:
            self.dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Delete": {
                            "TableName": self.table,
                            "Key": key,
                            "ConditionExpression": "attribute_exists(subject)",
                        }
                    },
                    {
                        "Update": {
                            "TableName": self.table,
                            "Key": _key(subject),
                            "UpdateExpression": "ADD attempts :one SET expires_at = :end",
                            "ExpressionAttributeValues": {
                                ":one": to_attribute(1),
                                ":end": to_attribute(ends_at),
                            },
                        }
                    },
                ]
            )
        except self.dynamodb.exceptions.TransactionCanceledException as error:
            codes = cancellation_codes(error)
            if codes <= {"None", "ConditionalCheckFailed"}:
                return
            raise TransientError(f"the attempt is not counted: {sorted(codes)}") from error

    def subtract(self, counter: str) -> None:
        """Uncounts an attempt."""
        self._update(counter, "ADD attempts :number", -1)

    def reset(self, counter: str) -> None:
        """Uncounts all attempts of the window."""
        self._update(counter, "SET attempts = :number", 0)

    def mark(self, name: str, seconds: int) -> None:
        """Marks `name` for some seconds."""
        item = {"subject": _hash(name), "expires_at": int(self.clock()) + seconds}
        self.dynamodb.put_item(TableName=self.table, Item=to_item(item))

    def is_marked(self, name: str) -> bool:
        """Whether `name` is marked."""
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=_key(_hash(name)), ConsistentRead=True
        )
        # DynamoDB deletes expired items late.
        return "Item" in answer and from_item(answer["Item"])["expires_at"] > self.clock()

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

    def _exceeded(self, ends_at: int) -> LimitExceededError:
        return LimitExceededError(max(1, round(ends_at - self.clock())))

    def _subject(self, limit: Limit) -> tuple[str, int]:
        """The key of the current window's counter, and the end of the window (epoch seconds)."""
        return self._window(_hash(limit.name), limit.window_seconds)

    def _window(self, hashed: str, seconds: int) -> tuple[str, int]:
        window = int(self.clock()) // seconds
        return f"{hashed}#{window}", (window + 1) * seconds


def network_of(address: str) -> str:
    """The subject of a client's network: an IPv4 address, or an IPv6 prefix."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    if parsed.version == 6:
        return f"address {ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False)}"
    return f"address {parsed}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _key(subject: str) -> Item:
    return to_item({"subject": subject})
