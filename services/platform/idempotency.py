"""Does a piece of work once, however often it is asked for.

A record in DynamoDB stands for the work: claimed under a lease by one owner, completed with its
result, kept until its time to live is over. Every write is conditional on the owner's token, so an
owner that outlives its lease can never overwrite its successor.

States of a key: absent -> claimed -> completed; a claim whose lease is over can be taken over.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.platform import metrics
from services.platform.aws.items import from_item, to_attribute, to_item
from services.platform.configuration import variable
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from services.platform.metrics import Metric


class State(StrEnum):
    CLAIMED = "claimed"
    COMPLETED = "completed"


class AlreadyInProgressError(TransientError):
    """Another worker holds the claim; its lease ends in `seconds` at the latest. Retry later."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        self.seconds = seconds
        super().__init__(reason)


class PayloadMismatchError(PermanentError):
    """The key was used before with another payload: a mistake of the caller."""


class LostClaimError(TransientError):
    """The lease ended and another owner took the key: its result counts, this one's does not."""


@dataclass(frozen=True)
class Claim:
    """The right to do the work of `key` until `lease_until` (seconds since the epoch).

    `takes_over` means that an earlier owner's lease ended without a result: whether it did the
    work is not known.
    """

    key: str
    owner: str
    lease_until: float
    takes_over: bool


@dataclass(frozen=True)
class Completed:
    """The work was done before; this is its result."""

    result: Any


@dataclass(frozen=True)
class IdempotencyConfiguration:
    """Environment variables of a function that uses the idempotency table.

    A subclass declares the variables and defaults of `lease_seconds` and `keep_seconds`. A lease
    must be longer than one invocation may take, so that no running owner outlives its claim.
    """

    lease_seconds: float
    keep_seconds: float
    table: str = variable("IDEMPOTENCY_TABLE", help="table of idempotency claims")

    def store(self, dynamodb: Any) -> IdempotencyStore:
        """The store with these settings, through a DynamoDB client."""
        return IdempotencyStore(dynamodb, self.table, self.lease_seconds, self.keep_seconds)


@dataclass(frozen=True)
class IdempotencyStore:
    """The idempotency table. `keep_seconds` must be longer than the longest retry window.

    Raises ConfigurationError when it is not even longer than a lease: a record that may be deleted
    protects no claim.
    """

    dynamodb: Any
    table: str
    lease_seconds: float
    keep_seconds: float
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if self.keep_seconds <= self.lease_seconds:
            raise ConfigurationError(
                "idempotency",
                [
                    f"expected records to be kept for longer than a lease of "
                    f"{self.lease_seconds:g} s, got {self.keep_seconds:g} s"
                ],
            )

    def claim(self, key: str, payload: Any) -> Claim | Completed:
        """Claims `key` for `payload` (anything JSON can hold).

        Raises AlreadyInProgressError, and PayloadMismatchError.
        """
        now = self.clock()
        digest = _digest(payload)
        claim = Claim(key, uuid.uuid4().hex, now + self.lease_seconds, takes_over=False)
        # An expired record may linger, since DynamoDB deletes late: it counts as absent.
        if self._put(
            claim, digest, "attribute_not_exists(#key) OR expires_at < :now", {":now": now}
        ):
            return claim
        found = self._read(key)
        if found is None:
            raise AlreadyInProgressError(f"idempotency key {key}: changed while it was read")
        if found["owner"] == claim.owner:
            # It was written: the answer was lost, and the SDK sent it again.
            return claim
        if found["payload"] != digest:
            raise PayloadMismatchError(
                f"idempotency key {key} was used with another payload; expected the same payload, "
                "or a new key for new work"
            )
        if found["state"] == State.COMPLETED:
            metrics.record(Metric.DUPLICATES_REFUSED)
            return Completed(json.loads(found["result"]))
        if found["lease_until"] >= now:
            seconds = found["lease_until"] - now
            raise AlreadyInProgressError(
                f"idempotency key {key} is claimed for another {seconds:.1f} s", seconds
            )
        successor = Claim(key, claim.owner, claim.lease_until, takes_over=True)
        if self._put(
            successor,
            digest,
            "#owner = :found AND #state = :claimed",
            {":found": found["owner"], ":claimed": State.CLAIMED.value},
        ):
            return successor
        found = self._read(key)
        if found is not None and found["owner"] == claim.owner:
            return successor
        raise AlreadyInProgressError(f"idempotency key {key} was just taken over by another owner")

    def complete(self, claim: Claim, result: Any = None) -> None:
        """Stores the result (anything JSON can hold). Raises LostClaimError."""
        self._owned(
            claim,
            self.dynamodb.update_item,
            UpdateExpression="SET #state = :completed, #result = :result, expires_at = :expires",
            extra_names={"#result": "result"},
            values={
                ":completed": State.COMPLETED.value,
                ":result": json.dumps(result),
                ":expires": int(self.clock() + self.keep_seconds),
            },
        )

    def abandon(self, claim: Claim) -> None:
        """Ends the lease and leaves it unknown whether the work was done: the next claim takes
        over. Raises LostClaimError."""
        self._owned(
            claim,
            self.dynamodb.update_item,
            UpdateExpression="SET lease_until = :over",
            extra_names={},
            values={":over": 0},
        )

    def release(self, claim: Claim) -> None:
        """Gives the key back, for work that was surely not done. Raises LostClaimError."""
        self._owned(claim, self.dynamodb.delete_item, extra_names={}, values={})

    def run_once(self, key: str, payload: Any, work: Callable[[], Any]) -> Any:
        """The result of `work`, done at most once at a time and replayed afterwards.

        A DarkroomError or any other exception of `work` gives the key back, so `work` must be safe
        to repeat after an exception.
        """
        claim = self.claim(key, payload)
        if isinstance(claim, Completed):
            return claim.result
        try:
            result = work()
        except BaseException:
            self.release(claim)
            raise
        self.complete(claim, result)
        return result

    def _put(self, claim: Claim, digest: str, condition: str, values: dict[str, Any]) -> bool:
        names = {"#key": "key", "#owner": "owner", "#state": "state"}
        try:
            self.dynamodb.put_item(
                TableName=self.table,
                Item=to_item(
                    {
                        "key": claim.key,
                        "owner": claim.owner,
                        "state": State.CLAIMED.value,
                        "payload": digest,
                        "lease_until": claim.lease_until,
                        "expires_at": int(self.clock() + self.keep_seconds),
                    }
                ),
                ConditionExpression=condition,
                ExpressionAttributeNames={k: v for k, v in names.items() if k in condition},
                ExpressionAttributeValues={k: to_attribute(v) for k, v in values.items()},
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _read(self, key: str) -> dict[str, Any] | None:
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=to_item({"key": key}), ConsistentRead=True
        )
        return from_item(answer["Item"]) if "Item" in answer else None

    def _owned(
        self,
        claim: Claim,
        operation: Callable[..., Any],
        extra_names: dict[str, str],
        values: dict[str, Any],
        **arguments: Any,
    ) -> None:
        try:
            operation(
                TableName=self.table,
                Key=to_item({"key": claim.key}),
                ConditionExpression="#owner = :owner AND #state = :claimed",
                ExpressionAttributeNames={"#owner": "owner", "#state": "state", **extra_names},
                ExpressionAttributeValues={
                    ":owner": to_attribute(claim.owner),
                    ":claimed": to_attribute(State.CLAIMED.value),
                    **{k: to_attribute(v) for k, v in values.items()},
                },
                **arguments,
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            raise LostClaimError(
                f"idempotency key {claim.key}: the lease ended and another owner took it over"
            ) from None


def _digest(payload: Any) -> str:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
