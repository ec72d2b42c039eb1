"""What is stored about a user, and its deletion.

Every step is safe to repeat, so an interrupted erasure continues with what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.accounts.api_keys import ApiKeyStore
from services.accounts.sessions import SessionStore
from services.platform.aws.items import Item, pages, to_attribute
from services.platform.aws.objects import delete_everything
from services.platform.database import Database
from services.webhooks.endpoints import EndpointStore

# The statuses of orders that still need the address, or the history of a payment.
_OPEN = (
    "status IN ('created', 'validated', 'reserved', 'paid', 'fulfilled') OR settled_at IS NULL AND "
    "status IN ('rejected', 'out_of_stock', 'payment_declined', 'cancelled', 'failed')"
)
ERASED_DOMAIN = "erased.invalid"
ERASED_NAME = "Erased"


@dataclass(frozen=True)
class Pending:
    """A user whose deletion was asked for."""

    user_id: str
    requested_at: datetime


@dataclass(frozen=True)
class ErasedUsers:
    """The users to erase, in Postgres. Every method may raise TransientError."""

    database: Database

    def pending(self, limit: int) -> list[Pending]:
        """Users to erase, without those who have an open order; the longest waiting first."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT id, deletion_requested_at FROM users u "  # noqa: S608  constants
                "WHERE deletion_requested_at IS NOT NULL AND erased_at IS NULL AND NOT EXISTS "
                f"(SELECT FROM orders WHERE user_id = u.id AND ({_OPEN})) "
                "ORDER BY deletion_requested_at LIMIT %s",
                [limit],
            )
            return [Pending(str(id_), requested) for id_, requested in cursor.fetchall()]

    def anonymize(self, user_id: str) -> None:
        """Removes what identifies the user from the orders, which have to be kept for their
        amounts and taxes, and from the user; deletes a user without orders."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE orders SET recipient = '', idempotency_key = NULL, "
                "delivery = jsonb_build_object('name', '', 'line1', '', 'postcode', '', "
                "'city', '', 'country', delivery -> 'country') WHERE user_id = %s",
                [user_id],
            )
            orders = cursor.rowcount
            for table in ("data_exports", "second_factors"):
                cursor.execute(
                    f"DELETE FROM {table} WHERE user_id = %s",  # noqa: S608  constants
                    [user_id],
                )
            if orders == 0:
                cursor.execute("DELETE FROM users WHERE id = %s", [user_id])
                return
            cursor.execute(
                "UPDATE users SET email = %s, name = %s, erased_at = now() WHERE id = %s",
                [f"{user_id}@{ERASED_DOMAIN}", ERASED_NAME, user_id],
            )


@dataclass(frozen=True)
class StoredData:
    """What is stored about a user outside of Postgres."""

    s3: Any
    dynamodb: Any
    originals_bucket: str
    other_buckets: tuple[str, ...]
    images_table: str
    sessions: SessionStore
    keys: ApiKeyStore
    webhooks: EndpointStore

    def delete(self, user_id: str, check: Callable[[], None], *, markers_stay: bool) -> None:
        """Deletes the user's access, objects and catalogue. Calls `check` before each page; what it
        raises interrupts the deletion. With `markers_stay`, originals leave delete markers, which
        S3 may replicate to another region, to delete the copies there."""
        self.sessions.close_all(user_id)
        self.keys.revoke_all(user_id)
        self.webhooks.delete_all(user_id)
        prefix = f"{user_id}/"
        delete_everything(self.s3, self.originals_bucket, prefix, check, markers_stay=markers_stay)
        for bucket in self.other_buckets:
            delete_everything(self.s3, bucket, prefix, check)
        for item in self._catalog_items(user_id):
            check()
            self.dynamodb.delete_item(
                TableName=self.images_table,
                Key={"owner": to_attribute(user_id), "item": item["item"]},
            )

    def _catalog_items(self, user_id: str) -> Iterator[Item]:
        for page in pages(
            self.dynamodb.query,
            TableName=self.images_table,
            KeyConditionExpression="#owner = :owner",
            ProjectionExpression="#item",
            ExpressionAttributeNames={"#owner": "owner", "#item": "item"},
            ExpressionAttributeValues={":owner": to_attribute(user_id)},
            ConsistentRead=True,
        ):
            yield from page
