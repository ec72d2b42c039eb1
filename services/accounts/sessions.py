"""Sessions, in DynamoDB.

A session belongs to a random token that only its owner has; the table stores the token's hash. It
expires IDLE_SECONDS after its last use and at most LONGEST_SECONDS after it was opened. DynamoDB
deletes expired items late, so every read checks the expiry.

The table also has the known devices of users (`services.accounts.devices`), whose keys begin with
DEVICE_PREFIX.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.accounts.model import User
from services.platform import log
from services.platform.aws.errors import is_transient
from services.platform.aws.items import Item, from_item, pages, to_attribute, to_item
from services.platform.errors import TransientError

TOKEN_BYTES = 32
IDLE_SECONDS = 14 * 24 * 3600
LONGEST_SECONDS = 90 * 24 * 3600
# A session in use is renewed at most this often: one write an hour instead of one a request.
RENEWAL_SECONDS = 3600
BY_USER = "by-user"
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_BATCH_WRITE_ITEMS = 25
_BATCH_TRIES = 5
TOKEN_FORM = re.compile(r"[A-Za-z0-9_-]{43}")
DEVICE_PREFIX = "device "


@dataclass(frozen=True)
class Session:
    """An open session. `id` is the hash of its token. `created_at` is ISO 8601 text in UTC; the
    other times are in seconds since the epoch. `email`, `role` and `name` are the user's at the
    time when the session was opened. Renewals end at `ends_at`."""

    id: str
    user_id: str
    email: str
    role: str
    created_at: str
    expires_at: int
    ends_at: int
    renewed_at: int
    name: str = ""
    second_factor: bool = False
    """Whether it was opened with a second factor."""

    @property
    def public_id(self) -> str:
        """The id in the API, 32 hexadecimal digits. It finds no item: `id` is the table's key, and
        the API returns neither it nor the token."""
        return hashlib.sha256(f"session {self.id}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Expired:
    """The session with this token has expired."""


@dataclass(frozen=True)
class SessionStore:
    """Reads and writes the sessions table (key `token_hash`, index `by-user`)."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    def open(self, user: User, *, second_factor: bool = False) -> tuple[str, Session]:
        """Opens a session; returns its token, which is not stored, and the session."""
        now = self.clock()
        token = secrets.token_urlsafe(TOKEN_BYTES)
        session = Session(
            id=hash_of(token),
            user_id=user.id,
            email=user.email,
            role=user.role.value,
            created_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds"),
            expires_at=int(now) + IDLE_SECONDS,
            ends_at=int(now) + LONGEST_SECONDS,
            renewed_at=int(now),
            name=user.name,
            second_factor=second_factor,
        )
        self.dynamodb.put_item(
            TableName=self.table,
            Item=to_item(_values(session)),
            ConditionExpression="attribute_not_exists(token_hash)",
        )
        return token, session

    def find(self, token: str) -> Session | Expired | None:
        """The open session with this token, renewed when due; None for an unknown token."""
        if not TOKEN_FORM.fullmatch(token):
            return None
        session = self._read(hash_of(token))
        now = self.clock()
        if session is None:
            return None
        if session.expires_at <= now:
            return Expired()
        if now - session.renewed_at < RENEWAL_SECONDS or session.expires_at >= session.ends_at:
            return session
        return self._renew(session, int(now))

    def close(self, session_id: str) -> None:
        """Closes a session. Does nothing if there is none."""
        self.dynamodb.delete_item(TableName=self.table, Key=_key(session_id))

    def close_all(self, user_id: str, keep: str | None = None) -> int:
        """Closes every session of a user, except the one with the id `keep`, and deletes every
        known device; returns the number of sessions.

        The index is updated later than the table, so a session opened just now may be missed.
        """
        closed = 0
        for page in self.items(user_id):
            deleted = [item for item in page if item["token_hash"]["S"] != keep]
            keys = [{"token_hash": item["token_hash"]} for item in deleted]
            for start in range(0, len(keys), _BATCH_WRITE_ITEMS):
                self._delete(keys[start : start + _BATCH_WRITE_ITEMS])
            closed += sum(not is_device(item) for item in deleted)
        return closed

    def newest(self, user_id: str, limit: int, before: str | None = None) -> list[Session]:
        """At most `limit` open sessions of a user, newest first, opened before the time `before`
        (a session's `created_at`).

        The index is updated later than the table, so a session opened just now may be missed.
        """
        found: list[Session] = []
        for page in self.items(user_id, before):
            found += self._open_ones(page)
            if len(found) >= limit:
                break
        return found[:limit]

    def find_public(self, user_id: str, public_id: str) -> Session | None:
        """The user's open session with this `public_id`; None if there is none."""
        for page in self.items(user_id):
            for session in self._open_ones(page):
                if session.public_id == public_id:
                    return session
        return None

    def _open_ones(self, items: list[Item]) -> list[Session]:
        now = self.clock()
        sessions = [_session(item) for item in items if not is_device(item)]
        return [session for session in sessions if session.expires_at > now]

    def _read(self, session_id: str) -> Session | None:
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=_key(session_id), ConsistentRead=True
        )
        return _session(answer["Item"]) if "Item" in answer else None

    def _renew(self, session: Session, now: int) -> Session | None:
        renewed = dataclasses.replace(
            session, expires_at=min(now + IDLE_SECONDS, session.ends_at), renewed_at=now
        )
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=_key(session.id),
                UpdateExpression="SET expires_at = :expires, renewed_at = :now",
                # Without the condition, the update would create a closed session again.
                ConditionExpression="renewed_at = :seen",
                ExpressionAttributeValues={
                    ":expires": to_attribute(renewed.expires_at),
                    ":now": to_attribute(now),
                    ":seen": to_attribute(session.renewed_at),
                },
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return self._read(session.id)  # another request renewed or closed it
        except Exception as error:
            if not is_transient(error):
                raise
            # The session stays open; the next request renews it.
            log.logger().warning("session_renewal_failed", error_type=type(error).__name__)
            return session
        return renewed

    def items(self, user_id: str, before: str | None = None) -> Iterator[list[Item]]:
        """Pages of the items of a user's sessions and devices, newest first; of those created
        before the time `before` if it is given."""
        condition, values = "user_id = :user", {":user": to_attribute(user_id)}
        if before is not None:
            condition, values = (
                f"{condition} AND created_at < :before",
                values | {":before": to_attribute(before)},
            )
        return pages(
            self.dynamodb.query,
            TableName=self.table,
            IndexName=BY_USER,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
        )

    def _delete(self, keys: list[Item]) -> None:
        wanted: list[Any] = [{"DeleteRequest": {"Key": key}} for key in keys]
        for attempt in range(_BATCH_TRIES):
            if attempt:
                time.sleep(0.05 * 2**attempt)
            answer = self.dynamodb.batch_write_item(RequestItems={self.table: wanted})
            wanted = answer.get("UnprocessedItems", {}).get(self.table, [])
            if not wanted:
                return
        raise TransientError(f"{len(wanted)} sessions are not closed yet; try again")


def is_device(item: Item) -> bool:
    """Whether an item of the table is a known device and not a session."""
    return str(item["token_hash"]["S"]).startswith(DEVICE_PREFIX)


def hash_of(token: str) -> str:
    """What the table stores of a token, which is 256 random bits and so needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def _key(session_id: str) -> Item:
    return to_item({"token_hash": session_id})


def _values(session: Session) -> dict[str, Any]:
    values = dataclasses.asdict(session)
    return {"token_hash": values.pop("id"), **values}


def _session(item: Item) -> Session:
    values = from_item(item)
    return Session(id=values.pop("token_hash"), **values)
