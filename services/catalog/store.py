"""The catalogue's table: reads, and the conditional writes that its changes are made of.

An owner's items: `image#<image id>`, the image's record; `source#<object key>`, the state of one
original; and `storage`, the bytes of the originals (services/catalog/stored_bytes.py). A record
exists as long as its `source_keys`; services/catalog/lifecycle.py deletes it with the last one.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageRecord, ImageStatus, OriginalName, Source, StoredRendition
from services.platform.aws.items import from_item, pages, to_attribute, to_item

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH_GET_ITEMS = 100
# A range key may have 1,024 bytes; the prefix `source#` takes seven.
_LONGEST_KEY_BYTES = 1_000


BY_TIME = "by-time"


@dataclass(frozen=True)
class Position:
    """A position in an owner's images by time: that of the last image of the page before."""

    listed_at: str
    image_id: str


@dataclass(frozen=True)
class Catalog:
    """Reads and writes the images table."""

    dynamodb: Any
    table: str

    def image(self, owner: str, image_id: str) -> ImageRecord | None:
        """The record of an image; None if the catalogue has none."""
        item = self._get(owner, image_item(image_id))
        return _record(item) if item else None

    def source(self, owner: str, key: str) -> Source | None:
        """The state of an original; None before its first event."""
        item = self._get(owner, source_item(key))
        return _source(item) if item else None

    def sources(self, owner: str, keys: Iterable[str]) -> Iterator[Source]:
        """The sources of those `keys` that have one, in any order."""
        for item in self._get_many(owner, [source_item(key) for key in keys]):
            yield _source(item)

    def images(self, owner: str, image_ids: Iterable[str]) -> Iterator[ImageRecord]:
        """The records of those `image_ids` that have one, in any order."""
        for item in self._get_many(owner, [image_item(i) for i in image_ids]):
            yield _record(item)

    def newest(self, owner: str, limit: int, before: Position | None = None) -> list[ImageRecord]:
        """Up to `limit` visible images of an owner, newest first, starting after `before`."""
        found: list[ImageRecord] = []
        start: dict[str, Any] = {}
        if before is not None:
            position = {"owner": owner, "item": image_item(before.image_id)}
            start = {"ExclusiveStartKey": to_item(position | {"listed_at": before.listed_at})}
        for page in pages(
            self.dynamodb.query,
            TableName=self.table,
            IndexName=BY_TIME,
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues=expression_values(owner=owner),
            ScanIndexForward=False,
            Limit=limit,
            **start,
        ):
            found += [record for record in map(_record, map(from_item, page)) if record.visible]
            if len(found) >= limit:
                break
        return found[:limit]

    def every_image(
        self, owner: str | None, after: tuple[str, str] | None, page_items: int
    ) -> Iterator[ImageRecord]:
        """The records of an owner, or of all owners, in the table's order, also hidden ones;
        `after` is the owner and id of the last one that was read before. Only for operators
        without an owner: no function may scan the table."""
        request: dict[str, Any] = {
            "TableName": self.table,
            "Limit": page_items,
            "ExpressionAttributeNames": {"#item": "item"},
        }
        if after is not None:
            request["ExclusiveStartKey"] = item_key(after[0], image_item(after[1]))
        values, condition = {"item": image_item("")}, "begins_with(#item, :item)"
        if owner is None:
            read, request["FilterExpression"] = self.dynamodb.scan, condition
        else:
            read = self.dynamodb.query
            request["KeyConditionExpression"] = f"#owner = :owner AND {condition}"
            request["ExpressionAttributeNames"]["#owner"] = "owner"
            values["owner"] = owner
        request["ExpressionAttributeValues"] = expression_values(**values)
        for page in pages(read, **request):
            for item in map(from_item, page):
                if "listed_at" in item:  # not one that is being deleted
                    yield _record(item)

    def of_upload(self, owner: str, upload: str) -> list[ImageRecord]:
        """The visible images of an upload; none until its event was handled."""
        answer = self.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="#owner = :owner AND begins_with(#item, :item)",
            ExpressionAttributeNames={"#owner": "owner", "#item": "item"},
            ExpressionAttributeValues=expression_values(
                owner=owner, item=source_item(OriginalName(owner, upload, "").key)
            ),
            ConsistentRead=True,
        )
        sources = [_source(from_item(item)) for item in answer["Items"]]
        ids = {s.image_id for s in sources if s.image_id is not None and not s.removed}
        return [record for record in self.images(owner, sorted(ids)) if record.visible]

    def hide(self, owner: str, image_id: str) -> ImageRecord | None:
        """Hides an image from its owner; an original with the same content that is uploaded later
        shows it again. Returns the changed record, or None if there is no such image."""
        try:
            answer = self.dynamodb.update_item(
                TableName=self.table,
                Key=item_key(owner, image_item(image_id)),
                UpdateExpression="SET deleted_by_owner = :yes",
                ConditionExpression="attribute_exists(listed_at)",
                ExpressionAttributeValues=expression_values(yes=True),
                ReturnValues="ALL_NEW",
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return _record(from_item(answer["Attributes"]))

    def _get(self, owner: str, item: str) -> dict[str, Any] | None:
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=item_key(owner, item), ConsistentRead=True
        )
        return from_item(answer["Item"]) if "Item" in answer else None

    def _get_many(self, owner: str, items: list[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(items), _BATCH_GET_ITEMS):
            wanted: list[Any] = [
                item_key(owner, i) for i in items[start : start + _BATCH_GET_ITEMS]
            ]
            while wanted:
                answer = self.dynamodb.batch_get_item(RequestItems={self.table: {"Keys": wanted}})
                yield from map(from_item, answer["Responses"].get(self.table, ()))
                wanted = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])

    def update(
        self,
        owner: str,
        item: str,
        changes: dict[str, Any],
        condition: str,
        names: dict[str, str],
        **values: Any,
    ) -> bool:
        """Sets the attributes of an item to `changes` and removes those that are None.

        Returns False when `condition` does not hold. `values` are those of its placeholders.
        """
        present = [name for name, value in changes.items() if value is not None]
        absent = [name for name, value in changes.items() if value is None]
        assignments = ", ".join(f"{name} = :new{i}" for i, name in enumerate(present))
        expression = f"SET {assignments}" if present else ""
        if absent:
            expression += " REMOVE " + ", ".join(absent)
        new = {f"new{i}": changes[name] for i, name in enumerate(present)}
        return self.write(owner, item, expression, condition, names, **new, **values)

    def write(
        self,
        owner: str,
        item: str,
        expression: str,
        condition: str,
        names: dict[str, str],
        **values: Any,
    ) -> bool:
        """Updates one item. Returns False when `condition` does not hold."""
        optional = {"ExpressionAttributeNames": names} if names else {}
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=item_key(owner, item),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=expression_values(**values),
                **optional,
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


def image_item(image_id: str) -> str:
    return f"image#{image_id}"


def source_item(key: str) -> str:
    # An object key may have 1,024 bytes as well, so a longer one is replaced by its hash.
    if len(key.encode()) > _LONGEST_KEY_BYTES:
        return f"source#{hashlib.sha256(key.encode()).hexdigest()}"
    return f"source#{key}"


def item_key(owner: str, item: str) -> dict[str, Any]:
    return to_item({"owner": owner, "item": item})


def expression_values(**values: Any) -> dict[str, Any]:
    return {f":{name}": to_attribute(value) for name, value in values.items()}


def _source(item: dict[str, Any]) -> Source:
    return Source(**{f.name: item[f.name] for f in dataclasses.fields(Source) if f.name in item})


def _record(item: dict[str, Any]) -> ImageRecord:
    known = {f.name: item[f.name] for f in dataclasses.fields(ImageRecord) if f.name in item}
    return ImageRecord(
        **known
        | {
            "status": ImageStatus(item["status"]),
            "source_keys": item.get("source_keys", frozenset()),
            "location_keys": item.get("location_keys", frozenset()),
            "listed_at": item.get("listed_at", ""),
            "renditions": tuple(StoredRendition(**r) for r in item.get("renditions", ())),
        }
    )
