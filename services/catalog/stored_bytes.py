"""The bytes of the originals that an owner keeps.

An owner's item `storage` in the images table has their sum. It changes in the transaction that
writes the state of an original, so that repeated events and interrupted workers count each original
once. Uploads by forms count, with the size of the original; renditions and older versions of an
object do not.
"""

from __future__ import annotations

from typing import Any

from services.catalog.model import Source
from services.catalog.store import Catalog, expression_values, item_key
from services.platform.aws.items import from_item

STORAGE_ITEM = "storage"


def stored_bytes(catalog: Catalog, owner: str) -> int:
    """The bytes that the owner's originals have."""
    answer = catalog.dynamodb.get_item(
        TableName=catalog.table, Key=item_key(owner, STORAGE_ITEM), ConsistentRead=True
    )
    # Below 0 while an account is erased: its counter is deleted before the last events arrive.
    return max(0, int(from_item(answer.get("Item", {})).get("stored_bytes", 0)))


def counted(table: str, owner: str, found: Source | None, source: Source) -> list[dict[str, Any]]:
    """The items of a transaction that replaces the source `found` with `source`: none if the
    owner's bytes stay the same."""
    change = source.bytes - (0 if found is None else found.bytes)
    if change == 0:
        return []
    return [
        {
            "Update": {
                "TableName": table,
                "Key": item_key(owner, STORAGE_ITEM),
                "UpdateExpression": "ADD stored_bytes :change",
                "ExpressionAttributeValues": expression_values(change=change),
            }
        }
    ]
