"""The catalogue's table. Every write is conditional on what was read, so that duplicate, late and
reordered events, and workers that die between two writes, leave it right.

An owner's items: `image#<image id>`, the record, and `source#<object key>`, what the lab knows of
one original. A record lives as long as its `source_keys`; the last one to go takes it along.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageRecord, ImageStatus, OriginalName, Source, StoredRendition
from services.platform.aws.items import from_item, to_attribute, to_item
from services.platform.errors import TransientError

# A tombstone must outlive the latest event of its original: SQS keeps a message 14 days at most.
TOMBSTONE_SECONDS = 30 * 24 * 3600
# DynamoDB: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH_GET_ITEMS = 100
# A range key holds 1,024 bytes; the prefix takes a few.
_LONGEST_KEY_BYTES = 1_000


BY_TIME = "by-time"


@dataclass(frozen=True)
class Position:
    """A place in an owner's images by time: that of the image last seen."""

    listed_at: str
    image_id: str


class ChangedMeanwhileError(TransientError):
    """Another worker wrote between our read and our write. Try again with a fresh read."""


@dataclass(frozen=True)
class Catalog:
    """Reads and writes the images table."""

    dynamodb: Any
    table: str

    # -- reading

    def image(self, owner: str, image_id: str) -> ImageRecord | None:
        item = self._get(owner, _image_item(image_id))
        return _record(item) if item else None

    def source(self, owner: str, key: str) -> Source | None:
        item = self._get(owner, _source_item(key))
        return _source(item) if item else None

    def sources(self, owner: str, keys: Iterable[str]) -> Iterator[Source]:
        """The sources among `keys` that the lab knows, in no order."""
        for item in self._get_many(owner, [_source_item(key) for key in keys]):
            yield _source(item)

    def images(self, owner: str, image_ids: Iterable[str]) -> Iterator[ImageRecord]:
        """The images among `image_ids` that the catalogue has, in no order."""
        for item in self._get_many(owner, [_image_item(i) for i in image_ids]):
            yield _record(item)

    def newest(self, owner: str, limit: int, before: Position | None = None) -> list[ImageRecord]:
        """Up to `limit` visible images of an owner, newest first, from just after `before`."""
        found: list[ImageRecord] = []
        start: dict[str, Any] = {}
        if before is not None:
            place = {"owner": owner, "item": _image_item(before.image_id)}
            start = {"ExclusiveStartKey": to_item(place | {"listed_at": before.listed_at})}
        while True:
            answer = self.dynamodb.query(
                TableName=self.table,
                IndexName=BY_TIME,
                KeyConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues=_values(owner=owner),
                ScanIndexForward=False,
                Limit=limit,
                **start,
            )
            found += [
                record for record in map(_record, map(from_item, answer["Items"])) if record.visible
            ]
            if len(found) >= limit or "LastEvaluatedKey" not in answer:
                return found[:limit]
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def of_upload(self, owner: str, upload: str) -> list[ImageRecord]:
        """The visible images that an upload became; none while it is not known yet."""
        answer = self.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="#owner = :owner AND begins_with(#item, :item)",
            ExpressionAttributeNames={"#owner": "owner", "#item": "item"},
            ExpressionAttributeValues=_values(
                owner=owner, item=_source_item(OriginalName(owner, upload, "").key)
            ),
            ConsistentRead=True,
        )
        sources = [_source(from_item(item)) for item in answer["Items"]]
        ids = {s.image_id for s in sources if s.image_id is not None and not s.removed}
        return [record for record in self.images(owner, sorted(ids)) if record.visible]

    def hide(self, owner: str, image_id: str) -> ImageRecord | None:
        """Takes an image out of its owner's sight; the record as it then is, None where there is
        no such image. An original that is uploaded later brings it back."""
        try:
            answer = self.dynamodb.update_item(
                TableName=self.table,
                Key=_key(owner, _image_item(image_id)),
                UpdateExpression="SET deleted_by_owner = :yes",
                ConditionExpression="attribute_exists(listed_at)",
                ExpressionAttributeValues=_values(yes=True),
                ReturnValues="ALL_NEW",
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return _record(from_item(answer["Attributes"]))

    # -- a created original

    def claim(self, owner: str, found: Source | None, claimed: Source, listed_at: str) -> None:
        """Ties an original to its image: the source's item and the record, both or neither.

        `found` is the source as it was read. Raises ChangedMeanwhileError when it changed since,
        or when the image is just being deleted.
        """
        try:
            self.dynamodb.transact_write_items(
                TransactItems=[
                    {"Put": self._put_source(owner, found, claimed)},
                    {
                        "Update": {
                            "TableName": self.table,
                            "Key": _key(owner, _image_item(claimed.image_id or "")),
                            "UpdateExpression": "ADD source_keys :keys SET #status = "
                            "if_not_exists(#status, :developing), listed_at = "
                            "if_not_exists(listed_at, :now), image_id = :image "
                            # An image that comes again is wanted again.
                            "REMOVE deleted_by_owner",
                            "ConditionExpression": "attribute_not_exists(#status) "
                            "OR #status <> :deleting",
                            "ExpressionAttributeNames": {"#status": "status"},
                            "ExpressionAttributeValues": _values(
                                keys={claimed.key},
                                developing=ImageStatus.DEVELOPING,
                                deleting=ImageStatus.DELETING,
                                now=listed_at,
                                image=claimed.image_id,
                            ),
                        }
                    },
                ]
            )
        except self.dynamodb.exceptions.TransactionCanceledException as error:
            if not _reasons(error) <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                raise
            raise ChangedMeanwhileError(
                f"{claimed.key} or its image changed while it was being claimed"
            ) from None

    def settle(self, record: ImageRecord, source_key: str) -> bool:
        """Writes the outcome into the record; False when the image no longer has this source."""
        names = {"#status": "status"}
        return self._update(
            record.owner,
            _image_item(record.image_id),
            {
                "#status": record.status,
                "recipe": record.recipe,
                "reason": record.reason,
                "#message": record.message,
                "placeholder": record.placeholder,
                "fingerprint": record.fingerprint,
                "dominant_colour": record.dominant_colour,
                "facts": record.facts,
                "renditions": [dataclasses.asdict(r) for r in record.renditions],
            },
            condition="contains(source_keys, :source) AND #status <> :deleting",
            names=names | {"#message": "message"},
            source=source_key,
            deleting=ImageStatus.DELETING,
        )

    def update_source(self, owner: str, source: Source, **changes: Any) -> bool:
        """Changes fields of a source; False when a newer change of the original was seen."""
        return self._update(
            owner,
            _source_item(source.key),
            changes,
            condition="sequencer = :sequencer",
            names={},
            sequencer=source.sequencer,
        )

    # -- a removed original

    def bury(self, owner: str, found: Source | None, tombstone: Source) -> None:
        """Puts a tombstone in the place of a source. Raises ChangedMeanwhileError."""
        try:
            self.dynamodb.put_item(**self._put_source(owner, found, tombstone))
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            raise ChangedMeanwhileError(f"{tombstone.key} changed while it was removed") from None

    def drop_source(self, owner: str, image_id: str, source_key: str) -> None:
        """Takes one original off an image, unless it is that image (again).

        Nothing happens where there is no such image. Raises ChangedMeanwhileError when another
        write to one of the two is just under way.
        """
        try:
            self.dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "ConditionCheck": {
                            "TableName": self.table,
                            "Key": _key(owner, _source_item(source_key)),
                            "ConditionExpression": "attribute_not_exists(image_id) "
                            "OR image_id <> :image OR removed = :yes",
                            "ExpressionAttributeValues": _values(image=image_id, yes=True),
                        }
                    },
                    {
                        "Update": {
                            "TableName": self.table,
                            "Key": _key(owner, _image_item(image_id)),
                            "UpdateExpression": "DELETE source_keys :keys",
                            "ConditionExpression": "attribute_exists(image_id)",
                            "ExpressionAttributeValues": _values(keys={source_key}),
                        }
                    },
                ]
            )
        except self.dynamodb.exceptions.TransactionCanceledException as error:
            if not _reasons(error) <= {"None", "ConditionalCheckFailed"}:
                raise ChangedMeanwhileError(
                    f"{source_key} or its image changed while it was being let go"
                ) from None

    def begin_deletion(self, owner: str, image_id: str) -> bool:
        """Marks an image without originals for deletion; False when it has one."""
        return self._write(
            owner,
            _image_item(image_id),
            "SET #status = :deleting, image_id = :image",
            "attribute_not_exists(source_keys)",
            {"#status": "status"},
            deleting=ImageStatus.DELETING,
            image=image_id,
        )

    def end_deletion(self, owner: str, image_id: str) -> None:
        """Removes the record of an image that is marked for deletion."""
        try:
            self.dynamodb.delete_item(
                TableName=self.table,
                Key=_key(owner, _image_item(image_id)),
                ConditionExpression="#status = :deleting AND attribute_not_exists(source_keys)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=_values(deleting=ImageStatus.DELETING),
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return  # another delivery of the same removal ended it

    # -- the table

    def _get(self, owner: str, item: str) -> dict[str, Any] | None:
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=_key(owner, item), ConsistentRead=True
        )
        return from_item(answer["Item"]) if "Item" in answer else None

    def _get_many(self, owner: str, items: list[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(items), _BATCH_GET_ITEMS):
            wanted: list[Any] = [_key(owner, i) for i in items[start : start + _BATCH_GET_ITEMS]]
            while wanted:
                answer = self.dynamodb.batch_get_item(RequestItems={self.table: {"Keys": wanted}})
                yield from map(from_item, answer["Responses"].get(self.table, ()))
                wanted = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])

    def _put_source(self, owner: str, found: Source | None, source: Source) -> dict[str, Any]:
        """A put of `source`, conditional on the item being as `found` was read."""
        values = dataclasses.asdict(source) | {"owner": owner, "item": _source_item(source.key)}
        if source.removed:
            values["expires_at"] = int(time.time()) + TOMBSTONE_SECONDS
        put = {
            "TableName": self.table,
            "Item": to_item(values),
            "ConditionExpression": "attribute_not_exists(sequencer)",
        }
        if found is not None:
            put["ConditionExpression"] = "sequencer = :found AND attempts = :attempts"
            put["ExpressionAttributeValues"] = _values(
                found=found.sequencer, attempts=found.attempts
            )
        return put

    def _update(
        self,
        owner: str,
        item: str,
        changes: dict[str, Any],
        condition: str,
        names: dict[str, str],
        **values: Any,
    ) -> bool:
        """Sets the attributes in `changes`, removing those that are None."""
        kept = [name for name, value in changes.items() if value is not None]
        gone = [name for name, value in changes.items() if value is None]
        assignments = ", ".join(f"{name} = :new{i}" for i, name in enumerate(kept))
        expression = f"SET {assignments}" if kept else ""
        if gone:
            expression += " REMOVE " + ", ".join(gone)
        new = {f"new{i}": changes[name] for i, name in enumerate(kept)}
        return self._write(owner, item, expression, condition, names, **new, **values)

    def _write(
        self,
        owner: str,
        item: str,
        expression: str,
        condition: str,
        names: dict[str, str],
        **values: Any,
    ) -> bool:
        """One conditional update; False when the condition did not hold."""
        optional = {"ExpressionAttributeNames": names} if names else {}
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key=_key(owner, item),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=_values(**values),
                **optional,
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _reasons(error: Any) -> set[str]:
    """Why DynamoDB cancelled a transaction, a code for each of its items."""
    return {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}


def _image_item(image_id: str) -> str:
    return f"image#{image_id}"


def _source_item(key: str) -> str:
    # An object key may be as long as a range key, so a long one is named by its hash.
    if len(key.encode()) > _LONGEST_KEY_BYTES:
        return f"source#{hashlib.sha256(key.encode()).hexdigest()}"
    return f"source#{key}"


def _key(owner: str, item: str) -> dict[str, Any]:
    return to_item({"owner": owner, "item": item})


def _values(**values: Any) -> dict[str, Any]:
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
            "listed_at": item.get("listed_at", ""),
            "renditions": tuple(StoredRendition(**r) for r in item.get("renditions", ())),
        }
    )
