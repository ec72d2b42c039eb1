"""How originals create, change and delete images.

Three operations: `claim` ties an original to its image, `finalize` stores the outcome of its
development, `detach` removes a deleted original from its images. Every write is conditional on what
was read, and every operation may be repeated, so that duplicate, late and reordered events, and
workers that die between two writes, lead to the same state.
"""

from __future__ import annotations

import dataclasses
import random
import time
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageRecord, ImageStatus, Source, StoredRendition
from services.catalog.renditions import RenditionStore
from services.catalog.store import (
    Catalog,
    expression_values,
    image_item,
    item_key,
    source_item,
)
from services.catalog.stored_bytes import counted
from services.platform.aws.items import cancellation_codes, to_item
from services.platform.errors import TransientError

# A tombstone must outlive the latest event of its original: SQS keeps a message 14 days at most.
TOMBSTONE_SECONDS = 30 * 24 * 3600
# Photos of one owner that are claimed at the same time write the same counter of bytes.
_TRANSACTION_ATTEMPTS = 6
_CONFLICT_SECONDS = 0.05


class ChangedMeanwhileError(TransientError):
    """Another worker wrote between this worker's read and its write; the event must be retried."""


@dataclass(frozen=True)
class Claim:
    """A claimed original and the record of its image."""

    source: Source
    record: ImageRecord


@dataclass(frozen=True)
class ImageLifecycle:
    """Changes the catalogue, and deletes the renditions of images that it deletes."""

    catalog: Catalog
    renditions: RenditionStore

    def claim(
        self,
        owner: str,
        found: Source | None,
        claimed: Source,
        listed_at: str,
        keep_location: bool = False,
    ) -> Claim | None:
        """Ties the original `claimed` to its image and counts an attempt to develop it.

        `found` is the source as it was read before, None if there was none. `listed_at` becomes the
        time of a new image, ISO 8601 in UTC. `keep_location`: the original allows the location in
        the image's facts. Returns None when the image was deleted meanwhile.
        Raises ChangedMeanwhileError when the source changed since `found` was read, or when the
        image is being deleted.
        """
        attempts, stale = 0, None
        if found is not None:
            if found.stale_image_id is not None and found.stale_image_id != claimed.image_id:
                # Left by a worker that died; a source can store only one stale image.
                self._detach_source(owner, found.stale_image_id, claimed.key)
            attempts = found.attempts if found.sequencer == claimed.sequencer else 0
            replaced = not found.removed and found.image_id != claimed.image_id
            stale = found.image_id if replaced else None
        source = dataclasses.replace(claimed, attempts=attempts + 1, stale_image_id=stale)
        self._write_claim(owner, found, source, listed_at, keep_location)
        record = self.catalog.image(owner, str(source.image_id))
        return None if record is None else Claim(source, record)

    def finalize(self, claim: Claim, outcome: ImageRecord | None) -> bool:
        """Stores the outcome of a development; None if the claimed record is up to date. Its facts
        lose the location unless an original of the image allows it.

        The image that the original was before it was overwritten loses the original. Returns False
        when the original was removed meanwhile; the image is then deleted if it has no other.
        """
        owner, source = claim.record.owner, claim.source
        if outcome is not None:
            if not self._write_outcome(outcome, source.key):
                self.delete_if_unused(owner, outcome.image_id)
                return False
            self._delete_replaced(claim.record, outcome)
        if outcome is None and not claim.record.location_keys and "location" in claim.record.facts:
            self._drop_location(owner, claim.record.image_id)
        if source.stale_image_id is not None:
            self._detach_source(owner, source.stale_image_id, source.key)
        return True

    def replace(self, before: ImageRecord, source_key: str, after: ImageRecord) -> bool:
        """Replaces the renditions of a developed image and its facts, if it still has the recipe of
        `before`, and deletes the renditions that it has no more.

        Returns False when the original was removed meanwhile; the image is then deleted if it has
        no other. Raises ChangedMeanwhileError when the image was developed meanwhile.
        """
        if not self._write_outcome(after, source_key, before.recipe):
            self.delete_if_unused(after.owner, after.image_id)
            return False
        self._delete_replaced(before, after)
        return True

    def _delete_replaced(self, before: ImageRecord, after: ImageRecord) -> None:
        """Deletes the renditions that a record has no more: those of another recipe."""
        kept = {r.key for r in after.renditions}
        self.renditions.delete_keys([r.key for r in before.renditions if r.key not in kept])

    def add_renditions(
        self, record: ImageRecord, source_key: str, added: tuple[StoredRendition, ...]
    ) -> bool:
        """Adds stored renditions to a developed image; replaces those of the same name and format.

        Returns False when the image was deleted, lost the original or got another recipe since
        `record` was read. A deleted image's renditions are deleted again.
        """
        keys = {r.key for r in added}
        renditions = [r for r in record.renditions if r.key not in keys] + list(added)
        written = self.catalog.update(
            record.owner,
            image_item(record.image_id),
            {"renditions": [dataclasses.asdict(r) for r in renditions]},
            condition="contains(source_keys, :source) AND #status = :developed "
            "AND recipe = :recipe",
            names={"#status": "status"},
            source=source_key,
            developed=ImageStatus.DEVELOPED,
            recipe=record.recipe,
        )
        if not written:
            self.delete_if_unused(record.owner, record.image_id)
        return written

    def detach(self, owner: str, found: Source | None, removed: Source) -> tuple[str, ...]:
        """Writes a tombstone for the removed original and detaches it from its images; deletes
        those that have no other original. Returns the ids of the images.

        `found` is the source as it was read before. Raises ChangedMeanwhileError.
        """
        tombstone = dataclasses.replace(
            removed,
            image_id=found.image_id if found is not None else None,
            stale_image_id=found.stale_image_id if found is not None else None,
            removed=True,
        )
        self.write_tombstone(owner, found, tombstone)
        ids = {i for i in (tombstone.image_id, tombstone.stale_image_id) if i is not None}
        images = tuple(sorted(ids))
        for image in images:
            self._detach_source(owner, image, removed.key)
        return images

    def mark_announced(self, owner: str, source: Source) -> None:
        """Notes that the event of a finalized original was published."""
        self._update_source(owner, source, announced=True, attempts=0, stale_image_id=None)

    def undo_attempt(self, owner: str, source: Source) -> None:
        """Uncounts an attempt that ended with an exception, not with the process."""
        self._update_source(owner, source, attempts=source.attempts - 1)

    def write_tombstone(self, owner: str, found: Source | None, tombstone: Source) -> None:
        """Replaces a source with its tombstone, and gives its bytes back to the owner. Raises
        ChangedMeanwhileError."""
        put = self._put_source(owner, found, tombstone)
        changed = "the original changed while it was removed"
        if bytes_counted := counted(self.catalog.table, owner, found, tombstone):
            self._transact([{"Put": put}, *bytes_counted], changed)
            return
        try:
            self.catalog.dynamodb.put_item(**put)
        except self.catalog.dynamodb.exceptions.ConditionalCheckFailedException:
            raise ChangedMeanwhileError(changed) from None

    def _write_claim(
        self,
        owner: str,
        found: Source | None,
        source: Source,
        listed_at: str,
        keep_location: bool,
    ) -> None:
        """Writes the source and its image's record in one transaction."""
        option = "ADD source_keys :keys" + (
            ", location_keys :keys" if keep_location else " DELETE location_keys :keys"
        )
        image = {
            "TableName": self.catalog.table,
            "Key": item_key(owner, image_item(str(source.image_id))),
            "UpdateExpression": f"{option} SET #status = "
            "if_not_exists(#status, :developing), listed_at = "
            "if_not_exists(listed_at, :now), image_id = :image "
            # A deleted image that is uploaded again becomes visible again.
            "REMOVE deleted_by_owner",
            "ConditionExpression": "attribute_not_exists(#status) OR #status <> :deleting",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": expression_values(
                keys={source.key},
                developing=ImageStatus.DEVELOPING,
                deleting=ImageStatus.DELETING,
                now=listed_at,
                image=source.image_id,
            ),
        }
        self._transact(
            [
                {"Put": self._put_source(owner, found, source)},
                {"Update": image},
                *counted(self.catalog.table, owner, found, source),
            ],
            "the original or its image changed while it was claimed",
        )

    def _transact(self, items: list[dict[str, Any]], changed: str) -> None:
        """Writes `items` together. Raises ChangedMeanwhileError, with the text `changed`, when a
        condition does not hold, or other transactions keep writing one of the items."""
        dynamodb = self.catalog.dynamodb
        for attempt in range(1, _TRANSACTION_ATTEMPTS + 1):
            try:
                dynamodb.transact_write_items(TransactItems=items)
            except dynamodb.exceptions.TransactionCanceledException as error:
                reasons = cancellation_codes(error)
                if not reasons <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                    raise
                if "ConditionalCheckFailed" in reasons or attempt == _TRANSACTION_ATTEMPTS:
                    raise ChangedMeanwhileError(changed) from None
                time.sleep(random.uniform(0, _CONFLICT_SECONDS * attempt))  # noqa: S311  jitter
            else:
                return

    def _write_outcome(
        self, record: ImageRecord, source_key: str, recipe_before: str | None = None
    ) -> bool:
        """Returns False when the image no longer has this original. Raises ChangedMeanwhileError
        when its originals changed during the write, or when it does not have `recipe_before`."""
        allowed = bool(record.location_keys)
        # Another original may allow the location, or the last one that did may go, since `record`
        # was read.
        for location_kept in (allowed, not allowed):
            if self._write_facts(record, source_key, location_kept, recipe_before):
                return True
        now = self.catalog.image(record.owner, record.image_id)
        if now is None or now.status is ImageStatus.DELETING or source_key not in now.source_keys:
            return False
        raise ChangedMeanwhileError(f"image {record.image_id} changed while it was finalized")

    def _write_facts(
        self, record: ImageRecord, source_key: str, location_kept: bool, recipe_before: str | None
    ) -> bool:
        """Returns False when the image no longer has this original, or when its originals do not
        agree with `location_kept`, or its recipe is not `recipe_before`; None stands for any."""
        conditions = [
            "contains(source_keys, :source)",
            "#status <> :deleting",
            f"{'attribute_exists' if location_kept else 'attribute_not_exists'}(location_keys)",
        ]
        values = {} if recipe_before is None else {"before": recipe_before}
        if recipe_before is not None:
            conditions.append("recipe = :before")
        facts = {k: v for k, v in record.facts.items() if location_kept or k != "location"}
        return self.catalog.update(
            record.owner,
            image_item(record.image_id),
            {
                "#status": record.status,
                "recipe": record.recipe,
                "recipe_name": record.recipe_name,
                "reason": record.reason,
                "#message": record.message,
                "placeholder": record.placeholder,
                "fingerprint": record.fingerprint,
                "dominant_colour": record.dominant_colour,
                "facts": facts,
                "location_known": location_kept or None,
                "renditions": [dataclasses.asdict(r) for r in record.renditions],
            },
            condition=" AND ".join(conditions),
            names={"#status": "status", "#message": "message"},
            source=source_key,
            deleting=ImageStatus.DELETING,
            **values,
        )

    def _drop_location(self, owner: str, image_id: str) -> None:
        """Removes the location from the facts of an image without an original that allows it."""
        self.catalog.write(
            owner,
            image_item(image_id),
            "REMOVE facts.#location, location_known",
            "image_id = :image AND attribute_exists(facts.#location) "
            "AND attribute_not_exists(location_keys)",
            {"#location": "location"},
            image=image_id,
        )

    def _update_source(self, owner: str, source: Source, **changes: Any) -> None:
        """Changes fields of a source, unless a newer event of the original was handled."""
        self.catalog.update(
            owner,
            source_item(source.key),
            changes,
            condition="sequencer = :sequencer",
            names={},
            sequencer=source.sequencer,
        )

    def _detach_source(self, owner: str, image_id: str, source_key: str) -> None:
        """Removes an original from an image. Deletes the image if it has no other, and its location
        if no other allows it."""
        self._remove_source_key(owner, image_id, source_key)
        if not self.delete_if_unused(owner, image_id):
            self._drop_location(owner, image_id)

    def _remove_source_key(self, owner: str, image_id: str, source_key: str) -> None:
        """Removes an original from an image's record, unless the original has that content again.

        Does nothing if there is no such image. Raises ChangedMeanwhileError while another worker
        writes one of the two items.
        """
        dynamodb, table = self.catalog.dynamodb, self.catalog.table
        try:
            dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "ConditionCheck": {
                            "TableName": table,
                            "Key": item_key(owner, source_item(source_key)),
                            "ConditionExpression": "attribute_not_exists(image_id) "
                            "OR image_id <> :image OR removed = :yes",
                            "ExpressionAttributeValues": expression_values(
                                image=image_id, yes=True
                            ),
                        }
                    },
                    {
                        "Update": {
                            "TableName": table,
                            "Key": item_key(owner, image_item(image_id)),
                            "UpdateExpression": "DELETE source_keys :keys, location_keys :keys",
                            "ConditionExpression": "attribute_exists(image_id)",
                            "ExpressionAttributeValues": expression_values(keys={source_key}),
                        }
                    },
                ]
            )
        except dynamodb.exceptions.TransactionCanceledException as error:
            if not cancellation_codes(error) <= {"None", "ConditionalCheckFailed"}:
                raise ChangedMeanwhileError(
                    "the original or its image changed while it was detached"
                ) from None

    def delete_if_unused(self, owner: str, image_id: str) -> bool:
        """Deletes an image that has no original: its renditions, then its record. Safe to repeat,
        also without a record. Returns False when the image has an original."""
        # No worker can claim the image while its status is `deleting`, so only old renditions are
        # deleted. If this worker dies, the redelivered event completes the deletion.
        if not self._begin_deletion(owner, image_id):
            return False
        self.renditions.delete(owner, image_id)
        self.end_deletion(owner, image_id)
        return True

    def _begin_deletion(self, owner: str, image_id: str) -> bool:
        """Sets an image's status to `deleting`; returns False when it has an original."""
        return self.catalog.write(
            owner,
            image_item(image_id),
            "SET #status = :deleting, image_id = :image",
            "attribute_not_exists(source_keys)",
            {"#status": "status"},
            deleting=ImageStatus.DELETING,
            image=image_id,
        )

    def end_deletion(self, owner: str, image_id: str) -> None:
        """Deletes the record of an image whose status is `deleting`."""
        dynamodb = self.catalog.dynamodb
        try:
            dynamodb.delete_item(
                TableName=self.catalog.table,
                Key=item_key(owner, image_item(image_id)),
                ConditionExpression="#status = :deleting AND attribute_not_exists(source_keys)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=expression_values(deleting=ImageStatus.DELETING),
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return  # another delivery of the event completed the deletion

    def _put_source(self, owner: str, found: Source | None, source: Source) -> dict[str, Any]:
        """The arguments of a put of `source` that is conditional on the item as it was read."""
        values = dataclasses.asdict(source) | {"owner": owner, "item": source_item(source.key)}
        if source.removed:
            values["expires_at"] = int(time.time()) + TOMBSTONE_SECONDS
        put = {
            "TableName": self.catalog.table,
            "Item": to_item(values),
            "ConditionExpression": "attribute_not_exists(sequencer)",
        }
        if found is not None:
            put["ConditionExpression"] = "sequencer = :found AND attempts = :attempts"
            put["ExpressionAttributeValues"] = expression_values(
                found=found.sequencer, attempts=found.attempts
            )
        return put
