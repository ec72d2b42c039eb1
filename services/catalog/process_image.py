"""From a change of an original to a developed, catalogued, announced photo: the one job of
process-image.

Any event may come twice, late or out of order, and a worker may die between any two lines. So each
step is safe to repeat: the source's sequencer decides which change counts, renditions have
deterministic keys, the catalogue is written conditionally, and the event's id is the same every
time.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.catalog.model import (
    METADATA_KEEP_LOCATION,
    METADATA_NOTIFY,
    ImageRecord,
    ImageStatus,
    OriginalName,
    Source,
    StoredRendition,
    image_id,
    parse_original_key,
    rendition_prefix,
)
from services.catalog.store import Catalog
from services.events.images import ImageEvent, ImageEventType, event_id, publish
from services.events.storage import Change, ObjectEvent, parse_object_events
from services.imaging.develop import develop
from services.imaging.limits import check_bytes
from services.imaging.model import (
    Developed,
    Limits,
    PhotoRejected,
    Recipe,
)
from services.platform import log
from services.platform.aws.clients import error_code
from services.platform.aws.objects import delete_objects
from services.platform.functions.sqs import Message

# After this many developments that ended with the process (out of memory, out of time, a decoder
# that crashed), the photo is taken to be the cause. One less than the queue's receives.
ATTEMPTS_BEFORE_REJECTION = 4
FAILED_REPEATEDLY = "failed-repeatedly"
_FAILED_REPEATEDLY_MESSAGE = (
    f"Developing this photo was begun {ATTEMPTS_BEFORE_REJECTION} times and never came to an end. "
    "Please save it anew in a photo application, smaller if it is very large, and upload that."
)
# Wall time left for storing and announcing after a development that used all it may.
STORE_RESERVE_SECONDS = 10.0
_THUMBNAIL = "thumb"
_MISSING = frozenset({"NoSuchKey", "404", "NoSuchVersion"})


@dataclass(frozen=True)
class Original:
    """One original as it was fetched: its bytes (none when it is over the byte limit), size in
    bytes, and the metadata of its upload."""

    content: bytes
    size: int
    metadata: dict[str, str]


@dataclass(frozen=True)
class PhotoProcessor:
    """The job, with what it needs: AWS clients, where things lie, and how photos are developed."""

    s3: Any
    sns: Any
    catalog: Catalog
    renditions_bucket: str
    topic_arn: str
    recipe: Recipe
    limits: Limits

    def handle(self, message: Message) -> None:
        """Works through the object events of one queue message."""
        for event in parse_object_events(message.body):
            name = parse_original_key(event.key)
            log.bind(owner=name.owner, key=event.key, sequencer=event.sequencer)
            if event.change is Change.CREATED:
                outcome = self._created(name, event, message)
            else:
                outcome = self._removed(name, event)
            log.logger().info("original-" + event.change.value, outcome=outcome)

    # -- created

    def _created(self, name: OriginalName, event: ObjectEvent, message: Message) -> str:
        found = self.catalog.source(name.owner, event.key)
        if found is not None and found.sequencer > event.sequencer:
            return "superseded: a newer change was seen"
        if found is not None and found.sequencer == event.sequencer and found.announced:
            return "repeated: all done before"
        original = self._fetch(event)
        if original is None:
            return "superseded: the original changed or went since"

        source = self._claim(name.owner, found, event, original)
        assert source.image_id is not None  # noqa: S101  set by _claim
        record = self.catalog.image(name.owner, source.image_id)
        if record is None:
            return "superseded: removed meanwhile"
        if not (record.settled and record.recipe == self.recipe.version):
            record = self._develop(record, source, original, message)
            if not self.catalog.settle(record, event.key):
                self._delete_if_unused(name.owner, source.image_id)
                return "superseded: removed while it was developed"
        if source.stale_image_id is not None:
            self._let_go(name.owner, source.stale_image_id, event.key)
        self._announce(name, event, source, record, original.metadata.get(METADATA_NOTIFY))
        self.catalog.update_source(
            name.owner, source, announced=True, attempts=0, stale_image_id=None
        )
        return record.status.value

    def _fetch(self, event: ObjectEvent) -> Original | None:
        """The original, if it is still what the event tells of."""
        condition = {"IfMatch": event.etag} if event.etag else {}
        try:
            answer = self.s3.get_object(Bucket=event.bucket, Key=event.key, **condition)
        except self.s3.exceptions.ClientError as error:
            if error_code(error) in _MISSING | {"PreconditionFailed", "412"}:
                return None
            raise
        body, size = answer["Body"], answer["ContentLength"]
        with body:
            content = body.read() if size <= self.limits.bytes_max else b""
        return Original(content, size, answer.get("Metadata", {}))

    def _claim(
        self, owner: str, found: Source | None, event: ObjectEvent, original: Original
    ) -> Source:
        # An original over the byte limit is not read: its tag and size stand for its content.
        content = original.content or f"{event.etag}:{original.size}".encode()
        image = image_id(content)
        attempts, stale = 0, None
        if found is not None:
            if found.stale_image_id not in (None, image):
                # Left by a worker that died; a source remembers only one.
                self._let_go(owner, str(found.stale_image_id), event.key)
            attempts = found.attempts if found.sequencer == event.sequencer else 0
            stale = None if found.removed or found.image_id == image else found.image_id
        source = Source(
            key=event.key,
            sequencer=event.sequencer,
            image_id=image,
            etag=event.etag,
            version_id=event.version_id,
            attempts=attempts + 1,
            stale_image_id=stale,
        )
        self.catalog.claim(owner, found, source, event.time or _now())
        return source

    def _develop(
        self, record: ImageRecord, source: Source, original: Original, message: Message
    ) -> ImageRecord:
        """The record with its outcome; the renditions are stored."""
        unsettled = dataclasses.replace(record, recipe=self.recipe.version)
        if source.attempts > ATTEMPTS_BEFORE_REJECTION:
            return _rejected(unsettled, original, FAILED_REPEATEDLY, _FAILED_REPEATEDLY_MESSAGE)
        try:
            developed = self._try_to_develop(original, message)
        except PhotoRejected as rejection:
            return _rejected(unsettled, original, rejection.reason.value, rejection.message)
        except Exception:
            # The process lived to tell: this attempt did not end with it, so it does not count.
            self.catalog.update_source(record.owner, source, attempts=source.attempts - 1)
            raise
        return dataclasses.replace(
            unsettled,
            status=ImageStatus.DEVELOPED,
            reason=None,
            message=None,
            placeholder=developed.placeholder,
            fingerprint=developed.fingerprint,
            dominant_colour=developed.dominant_colour,
            facts=_facts(developed, original.metadata),
            renditions=self._store(record, developed),
        )

    def _try_to_develop(self, original: Original, message: Message) -> Developed:
        check_bytes(original.size, self.limits)
        seconds = min(self.limits.seconds_max, message.seconds_left() - STORE_RESERVE_SECONDS)
        limits = dataclasses.replace(self.limits, seconds_max=max(seconds, 1.0))
        return develop(original.content, self.recipe, limits)

    def _store(self, record: ImageRecord, developed: Developed) -> tuple[StoredRendition, ...]:
        stored = []
        for rendition in developed.renditions:
            key = (
                rendition_prefix(record.owner, record.image_id)
                + f"{rendition.name}.{rendition.format.extension}"
            )
            self.s3.put_object(
                Bucket=self.renditions_bucket,
                Key=key,
                Body=rendition.data,
                ContentType=rendition.format.content_type,
                # The key names the content's hash; a new recipe is told by the catalogue.
                CacheControl="private, max-age=86400",
            )
            stored.append(
                StoredRendition(
                    name=rendition.name,
                    format=rendition.format.value,
                    width=rendition.width,
                    height=rendition.height,
                    bytes=len(rendition.data),
                    key=key,
                    animated=rendition.animated,
                )
            )
        return tuple(stored)

    def _announce(
        self,
        name: OriginalName,
        event: ObjectEvent,
        source: Source,
        record: ImageRecord,
        recipient: str | None,
    ) -> None:
        kind = (
            ImageEventType.DEVELOPED
            if record.status is ImageStatus.DEVELOPED
            else ImageEventType.REJECTED
        )
        thumbnails = [r.key for r in record.renditions if r.name == _THUMBNAIL and not r.animated]
        publish(
            self.sns,
            self.topic_arn,
            ImageEvent(
                id=event_id(kind, name.owner, event.key, source.sequencer),
                type=kind,
                time=event.time or _now(),
                owner=name.owner,
                image_id=record.image_id,
                source_key=event.key,
                filename=name.filename,
                recipient=recipient,
                width=record.facts.get("width"),
                height=record.facts.get("height"),
                dominant_colour=record.dominant_colour,
                thumbnail_key=thumbnails[0] if thumbnails else None,
                reason=record.reason,
                message=record.message,
            ),
        )

    # -- removed

    def _removed(self, name: OriginalName, event: ObjectEvent) -> str:
        if self._exists(event):
            # A non-current version went, or the original was uploaded again: its own event tells.
            return "kept: the original is still there"
        found = self.catalog.source(name.owner, event.key)
        if found is not None and found.sequencer > event.sequencer:
            return "superseded: a newer change was seen"
        tombstone = Source(
            key=event.key,
            sequencer=event.sequencer,
            image_id=found.image_id if found is not None else None,
            stale_image_id=found.stale_image_id if found is not None else None,
            removed=True,
        )
        self.catalog.bury(name.owner, found, tombstone)
        images = {i for i in (tombstone.image_id, tombstone.stale_image_id) if i is not None}
        for image in sorted(images):
            self._let_go(name.owner, image, event.key)
            self._announce_deletion(name, event, image)
        return "deleted" if images else "noted before it was known"

    def _exists(self, event: ObjectEvent) -> bool:
        try:
            self.s3.head_object(Bucket=event.bucket, Key=event.key)
        except self.s3.exceptions.ClientError as error:
            if error_code(error) in _MISSING:
                return False
            raise
        return True

    def _announce_deletion(self, name: OriginalName, event: ObjectEvent, image: str) -> None:
        publish(
            self.sns,
            self.topic_arn,
            ImageEvent(
                id=event_id(ImageEventType.DELETED, name.owner, event.key, event.sequencer),
                type=ImageEventType.DELETED,
                time=event.time or _now(),
                owner=name.owner,
                image_id=image,
                source_key=event.key,
                filename=name.filename,
            ),
        )

    def _let_go(self, owner: str, image: str, source_key: str) -> None:
        """Takes an original off an image, and the image along if that was the last one."""
        self.catalog.drop_source(owner, image, source_key)
        self._delete_if_unused(owner, image)

    def _delete_if_unused(self, owner: str, image: str) -> None:
        # While the record says `deleting`, nobody can claim the image, so no rendition that
        # somebody just wrote is deleted; a worker that dies here leaves the mark, and the
        # redelivered event ends the deletion.
        if not self.catalog.begin_deletion(owner, image):
            return
        self._delete_renditions(rendition_prefix(owner, image))
        self.catalog.end_deletion(owner, image)

    def _delete_renditions(self, prefix: str) -> None:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.renditions_bucket, Prefix=prefix
        )
        for page in pages:
            keys = [found["Key"] for found in page.get("Contents", ())]
            delete_objects(self.s3, self.renditions_bucket, keys)


def _rejected(record: ImageRecord, original: Original, reason: str, message: str) -> ImageRecord:
    return dataclasses.replace(
        record,
        status=ImageStatus.REJECTED,
        reason=reason,
        message=message,
        facts={"bytes": original.size},
    )


def _facts(developed: Developed, metadata: dict[str, str]) -> dict[str, Any]:
    """The photo's facts for the catalogue; where it was taken only if the owner opted in."""
    facts = {k: v for k, v in dataclasses.asdict(developed.facts).items() if v is not None}
    if metadata.get(METADATA_KEEP_LOCATION, "").lower() != "true":
        facts.pop("location", None)
    return facts


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
