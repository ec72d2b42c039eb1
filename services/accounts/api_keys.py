"""API keys, in DynamoDB: access for servers, without a password and a session.

A key belongs to one customer and has scopes. The table stores the hash of its secret. A key is
valid until it is revoked or expires; DynamoDB deletes expired items late, so reads check the
expiry.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.platform import log
from services.platform.aws.errors import is_transient
from services.platform.aws.items import Item, from_item, pages, to_attribute, to_item

# Secret scanners and people recognize a key by it. No session token starts so: it has no `.`.
PREFIX = "darkroom.key."
SECRET_BYTES = 32
KEYS_PER_USER = 20
# The last use is stored at most this often: one write in five minutes instead of one a request.
LAST_USE_SECONDS = 300
BY_USER = "by-user"
_KEY = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class ApiKey:
    """An API key. `id` is the hash of the secret. `created_at` is ISO 8601 text in UTC; the other
    times are in seconds since the epoch: `expires_at` is None for a key without an end,
    `last_used_at` before the first use. `email` and `user_name` are the user's at the time when the
    key was created."""

    id: str
    user_id: str
    email: str
    name: str
    scopes: frozenset[str]
    created_at: str
    expires_at: int | None = None
    last_used_at: int | None = None
    user_name: str = ""


@dataclass(frozen=True)
class ApiKeyStore:
    """Reads and writes the table of API keys (key `key_hash`, index `by-user`)."""

    dynamodb: Any
    table: str
    clock: Callable[[], float] = time.time

    def create(
        self,
        user_id: str,
        email: str,
        user_name: str,
        name: str,
        scopes: Iterable[str],
        days: int | None,
    ) -> tuple[str, ApiKey]:
        """Creates a key that is valid for `days` days, None: until it is revoked. Returns its
        secret, which is not stored, and the key."""
        now = int(self.clock())
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        key = ApiKey(
            id=_id(secret),
            user_id=user_id,
            email=email,
            name=name,
            scopes=frozenset(scopes),
            created_at=datetime.fromtimestamp(now, UTC).isoformat(),
            expires_at=None if days is None else now + days * 24 * 3600,
            user_name=user_name,
        )
        values = dataclasses.asdict(key)
        self.dynamodb.put_item(
            TableName=self.table,
            Item=to_item({"key_hash": values.pop("id"), **values}),
            ConditionExpression="attribute_not_exists(key_hash)",
        )
        return secret, key

    def find(self, secret: str) -> ApiKey | None:
        """The valid key with this secret, its use noted; None for an unknown or expired one."""
        if not _KEY.fullmatch(secret):
            return None
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=_item_key(_id(secret)), ConsistentRead=True
        )
        key = _key(answer["Item"]) if "Item" in answer else None
        now = int(self.clock())
        if key is None or (key.expires_at is not None and key.expires_at <= now):
            return None
        if key.last_used_at is None or now - key.last_used_at >= LAST_USE_SECONDS:
            self._note_use(key.id, now)
        return key

    def of_user(self, user_id: str) -> list[ApiKey]:
        """The user's valid keys, newest first."""
        now = self.clock()
        found = [*map(_key, self._items(user_id))]
        return [key for key in found if key.expires_at is None or key.expires_at > now]

    def revoke(self, user_id: str, key_id: str) -> bool:
        """Deletes a key. Returns False when the user has no such key."""
        try:
            self.dynamodb.delete_item(
                TableName=self.table,
                Key=_item_key(key_id),
                ConditionExpression="user_id = :user",
                ExpressionAttributeValues={":user": to_attribute(user_id)},
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def revoke_all(self, user_id: str) -> None:
        """Deletes every key of a user, expired ones too."""
        for item in [*self._items(user_id)]:
            self.revoke(user_id, item["key_hash"]["S"])

    def _note_use(self, key_id: str, now: int) -> None:
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=_item_key(key_id),
                UpdateExpression="SET last_used_at = :now",
                # Without the condition, the update would create a revoked key again.
                ConditionExpression="attribute_exists(key_hash)",
                ExpressionAttributeValues={":now": to_attribute(now)},
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return  # revoked since it was read; the next request is rejected
        except Exception as error:
            if not is_transient(error):
                raise
            log.logger().warning("api_key_use_not_noted", error_type=type(error).__name__)

    def _items(self, user_id: str) -> Iterator[Item]:
        for page in pages(
            self.dynamodb.query,
            TableName=self.table,
            IndexName=BY_USER,
            KeyConditionExpression="user_id = :user",
            ExpressionAttributeValues={":user": to_attribute(user_id)},
            ScanIndexForward=False,
        ):
            yield from page


def _id(secret: str) -> str:
    # The secret is 256 random bits, so its hash needs no salt.
    return hashlib.sha256(secret.encode()).hexdigest()


def _item_key(key_id: str) -> Item:
    return to_item({"key_hash": key_id})


def _key(item: Item) -> ApiKey:
    values = from_item(item)
    return ApiKey(id=values.pop("key_hash"), **values)
