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


def _key(recipient: str) -> Item:
    return to_item({"recipient": recipient, "item": "settings"})


def _settings(address: str, item: Item) -> RecipientSettings:
    values = from_item(item)
    suppression = values.get("suppression")
    secret = values.get("secret")
    return RecipientSettings(
        photo_emails=values.get("photo_emails", True),
        suppression=Suppression(suppression) if suppression else None,
        token=recipient_key(address) + secret if secret else "",
    )
