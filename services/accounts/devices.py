"""Device tokens: each shows that its account was signed in to before on the same device.

Failed sign-ins with one count for the device alone, so failures of others do not lock it out:
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies

A token is random and belongs to one account. The table of sessions stores its hash, in an item
that `SessionStore.close_all` deletes along with the user's sessions. It expires DEVICE_SECONDS
after the last sign-in with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from services.accounts.model import User, normalize_email
from services.accounts.sessions import (
    DEVICE_PREFIX,
    TOKEN_BYTES,
    TOKEN_FORM,
    SessionStore,
    hash_of,
    is_device,
)
from services.platform.aws.items import from_item, to_attribute, to_item

# Longer than a session, which ends after 90 days at the latest.
DEVICE_SECONDS = 180 * 24 * 3600


@dataclass(frozen=True)
class Device:
    """A known device. `created_at` is ISO 8601 text in UTC, `expires_at` in seconds since the
    epoch."""

    created_at: str
    expires_at: int


@dataclass(frozen=True)
class KnownDevices:
    """Reads and writes the devices in the table of sessions."""

    sessions: SessionStore

    def find(self, token: str, email: str) -> str | None:
        """The id of the device with this token; None for a token that is unknown, expired, or of
        another account than that of `email`."""
        if not TOKEN_FORM.fullmatch(token):
            return None
        id_ = _id(token)
        answer = self.sessions.dynamodb.get_item(
            TableName=self.sessions.table, Key=to_item({"token_hash": id_}), ConsistentRead=True
        )
        if "Item" not in answer:
            return None
        found = from_item(answer["Item"])
        # DynamoDB deletes expired items late.
        is_valid = found["expires_at"] > self.sessions.clock()
        return id_ if is_valid and found["email"] == normalize_email(email) else None

    def add(self, user: User) -> str:
        """Adds a device of the user; returns its token, which is not stored."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = self.sessions.clock()
        item = {
            "token_hash": _id(token),
            "user_id": user.id,
            "email": normalize_email(user.email),
            "created_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds"),
            "expires_at": int(now) + DEVICE_SECONDS,
        }
        self.sessions.dynamodb.put_item(
            TableName=self.sessions.table,
            Item=to_item(item),
            ConditionExpression="attribute_not_exists(token_hash)",
        )
        return token

    def renew(self, device_id: str) -> bool:
        """Lets the device expire DEVICE_SECONDS from now. Returns False if it was deleted."""
        try:
            self.sessions.dynamodb.update_item(
                TableName=self.sessions.table,
                Key=to_item({"token_hash": device_id}),
                UpdateExpression="SET expires_at = :expires",
                ConditionExpression="attribute_exists(token_hash)",
                ExpressionAttributeValues={
                    ":expires": to_attribute(int(self.sessions.clock()) + DEVICE_SECONDS)
                },
            )
        except self.sessions.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def of_user(self, user_id: str) -> Iterator[Device]:
        """The user's devices, newest first."""
        now = self.sessions.clock()
        for page in self.sessions.items(user_id):
            for found in map(from_item, filter(is_device, page)):
                if found["expires_at"] > now:
                    yield Device(found["created_at"], found["expires_at"])


def _id(token: str) -> str:
    """The key of the token's item, which no session's token has."""
    return DEVICE_PREFIX + hash_of(token)
