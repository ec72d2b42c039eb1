"""What is known about the recipients of e-mails, in the DynamoDB table `recipients`.

A recipient is an address, whether or not it has an account. The key is a hash of the address, so
the table holds no address. The item `settings` holds the choice about e-mails about photos, why no
more e-mail is sent, and the secret half of the address's unsubscribe token.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.accounts.model import normalize_email
from services.platform import timestamps
from services.platform.aws.items import Item, from_item, to_item

# Half of a token names the recipient, the other half is secret: 128 bits each.
_KEY_DIGITS = _SECRET_DIGITS = 32
_DAY_SECONDS = 24 * 3600
_DIGEST = "digest"
TOKEN_DIGITS = _KEY_DIGITS + _SECRET_DIGITS


class EmailKind(StrEnum):
    """What an e-mail is about. People choose whether they want those about photos; those about
    orders and accounts are essential."""

    PHOTO = "photo"
    ESSENTIAL = "essential"


class Suppression(StrEnum):
    """Why no more e-mail is sent to an address."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"


@dataclass(frozen=True)
class RecipientSettings:
    """`suppression` stops every e-mail; `photo_emails` is the recipient's choice. `token` is that
    of the unsubscribe link; empty if there is none yet."""

    photo_emails: bool = True
    suppression: Suppression | None = None
    token: str = ""

    def reason_against(self, kind: EmailKind) -> str | None:
        """Why no e-mail of this kind is sent; None if it is sent."""
        if self.suppression is not None:
            return self.suppression.value
        return None if self.photo_emails or kind is not EmailKind.PHOTO else "unsubscribed"


@dataclass(frozen=True)
class PhotoCounts:
    """The photos of a digest, by outcome."""

    developed: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Recipients:
    """Reads and writes the table `recipients` (hash key `recipient`, range key `item`)."""

    dynamodb: Any
    table: str

    def settings(self, address: str) -> RecipientSettings:
        """The settings of an address; the defaults for an unknown one."""
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=_settings_key(address), ConsistentRead=True
        )
        return _settings(address, answer.get("Item", {}))

    def settings_with_token(self, address: str) -> RecipientSettings:
        """The settings of an address, with its token, which is made if there is none yet."""
        new = secrets.token_hex(_SECRET_DIGITS // 2)
        changed = self._update(
            address, "SET secret = if_not_exists(secret, :secret)", {":secret": new}
        )
        return _settings(address, changed)

    def choose_photo_emails(self, address: str, wanted: bool) -> RecipientSettings:
        """Stores whether the address gets e-mails about photos; returns the settings."""
        changed = self._update(address, "SET photo_emails = :wanted", {":wanted": wanted})
        return _settings(address, changed)

    def unsubscribe(self, token: str) -> bool:
        """Stops e-mails about photos to the recipient of the token. Returns whether the token is
        valid; it stays valid afterwards."""
        if len(token) != TOKEN_DIGITS:
            return False
        key, secret = token[:_KEY_DIGITS], token[_KEY_DIGITS:]
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=_key(key),
                UpdateExpression="SET photo_emails = :wanted",
                ConditionExpression="secret = :secret",
                ExpressionAttributeValues=to_item({":wanted": False, ":secret": secret}),
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def suppress(self, address: str, reason: Suppression) -> None:
        """Stops every e-mail to the address."""
        self._update(
            address,
            "SET suppression = :reason, suppressed_at = :now",
            {":reason": reason.value, ":now": timestamps.now()},
        )

    def count_photo_email(self, address: str, now: float) -> int:
        """Counts an e-mail about a photo; the number of the day (in UTC) so far."""
        day = int(now) // _DAY_SECONDS
        changed = self._add(
            address,
            f"day#{day}",
            "ADD emails :one SET expires_at = :end",
            {":one": 1, ":end": (day + 2) * _DAY_SECONDS},
        )
        return int(changed["emails"])

    def add_to_digest(self, address: str, *, developed: bool) -> float:
        """Counts a photo for the next digest; when that is due (seconds since the epoch), 0 if it
        was not requested yet."""
        name = "developed" if developed else "rejected"
        changed = self._add(address, _DIGEST, f"ADD {name} :one", {":one": 1})
        return float(changed.get("due_at", 0))

    def set_digest_due(self, address: str, due_at: float) -> None:
        """Stores when the next digest is due."""
        self._add(
            address,
            _DIGEST,
            "SET due_at = :due, expires_at = :end",
            {":due": int(due_at), ":end": int(due_at) + _DAY_SECONDS},
        )

    def take_digest(self, address: str) -> PhotoCounts:
        """The photos of the digest, which starts again without any."""
        answer = self.dynamodb.update_item(
            TableName=self.table,
            Key=_key(recipient_key(address), _DIGEST),
            UpdateExpression="REMOVE developed, rejected, due_at",
            ReturnValues="ALL_OLD",
        )
        values = from_item(answer.get("Attributes", {}))
        return PhotoCounts(int(values.get("developed", 0)), int(values.get("rejected", 0)))

    def _add(
        self, address: str, item: str, expression: str, values: dict[str, Any]
    ) -> dict[str, Any]:
        answer = self.dynamodb.update_item(
            TableName=self.table,
            Key=_key(recipient_key(address), item),
            UpdateExpression=expression,
            ExpressionAttributeValues=to_item(values),
            ReturnValues="ALL_NEW",
        )
        return from_item(answer["Attributes"])

    def _update(self, address: str, expression: str, values: dict[str, Any]) -> Item:
        answer = self.dynamodb.update_item(
            TableName=self.table,
            Key=_settings_key(address),
            UpdateExpression=expression,
            ExpressionAttributeValues=to_item(values),
            ReturnValues="ALL_NEW",
        )
        attributes: Item = answer["Attributes"]
        return attributes


def recipient_key(address: str) -> str:
    """The hash key of an address: 32 hexadecimal digits, the same regardless of case."""
    return hashlib.sha256(normalize_email(address).encode()).hexdigest()[:_KEY_DIGITS]


def _settings_key(address: str) -> Item:
    return _key(recipient_key(address))


def _key(recipient: str, item: str = "settings") -> Item:
    return to_item({"recipient": recipient, "item": item})


def _settings(address: str, item: Item) -> RecipientSettings:
    values = from_item(item)
    suppression = values.get("suppression")
    secret = values.get("secret")
    return RecipientSettings(
        photo_emails=values.get("photo_emails", True),
        suppression=Suppression(suppression) if suppression else None,
        token=recipient_key(address) + secret if secret else "",
    )
