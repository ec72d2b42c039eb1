"""A created original: developed, stored in the catalogue, and announced."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from services.catalog.lifecycle import Claim, ImageLifecycle
from services.catalog.model import (
    FAILED_REPEATEDLY,
    METADATA_CORRELATION_ID,
    METADATA_KEEP_LOCATION,
    METADATA_NOTIFY,
    METADATA_NOTIFY_NAME,
    METADATA_ON_WEBSITE,
    METADATA_RECIPE,
    METADATA_SINGLE_USE,
    ImageRecord,
    ImageStatus,
    OriginalName,
    Source,
    StoredRendition,
    image_id,
    image_id_of,
)
from services.catalog.originals import Original, download
from services.catalog.renditions import late_renditions
from services.events.images import ImageEvent, ImageEventType, event_id, publish
from services.events.storage import BACKFILL_SEQUENCER, ObjectEvent
from services.imaging.model import (
    LATE_FORMAT,
    Developed,
    Limits,
    OutputFormat,
    PhotoRejected,
    Recipe,
    without_late_format,
)
from services.imaging.recipes import Recipes
from services.platform import log, metrics, tracing
from services.platform.functions.sqs import Message
from services.platform.metrics import Metric
from services.platform.timestamps import milliseconds_since, now

# After this many attempts that ended the process (out of memory, out of time, a crashed decoder),
# the photo is rejected. One less than the queue's maximum receive count.
ATTEMPTS_BEFORE_REJECTION = 4
_FAILED_REPEATEDLY_MESSAGE = (
    f"We tried {ATTEMPTS_BEFORE_REJECTION} times to develop this photo, and failed each time. "
    "Please save it again in a photo application, smaller if it is very large, and upload that."
)
_THUMBNAIL = "thumb"
_NO_REASON = "none"


@dataclass(frozen=True)
class CreatedOriginal:
    """Handles ObjectCreated events."""

    s3: Any
    sns: Any
    topic_arn: str
    images: ImageLifecycle
    recipes: Recipes
    limits: Limits

    def handle(self, name: OriginalName, event: ObjectEvent, message: Message) -> str:
        """Develops the original if the event is the newest of its key. Returns the outcome, for the
        log. Raises ChangedMeanwhileError."""
        found = self.images.catalog.source(name.owner, event.key)
        if found is not None and found.sequencer > event.sequencer:
            return "superseded: a newer event was handled"
        if found is not None and found.sequencer == event.sequencer and found.announced:
            metrics.record(Metric.DUPLICATES_REFUSED)
            return "repeated: the event was handled before"
        original = download(self.s3, event.bucket, event.key, event.etag, self.limits.bytes_max)
        if original is None:
            return "superseded: the original was changed or deleted"
        if correlation_id := original.metadata.get(METADATA_CORRELATION_ID):
            log.correlate(correlation_id)
        if _is_replay(found, event, original):
            self._undo(event)
            return "replay: the upload form was used before"
        keep_location = _is_true(original.metadata, METADATA_KEEP_LOCATION)
        claim = self.images.claim(
            name.owner, found, _source(event, original), event.time or now(), keep_location
        )
        if claim is None:
            return "superseded: the image was deleted meanwhile"
        log.bind(image_id=claim.record.image_id)
        chosen = original.metadata.get(METADATA_RECIPE)
        recipe = self._recipe(chosen)
        outcome = None
        if not _is_current(claim.record, recipe):
            outcome = self._develop(claim, original, message, recipe)
            outcome = dataclasses.replace(outcome, recipe_name=chosen)
        if not self.images.finalize(claim, outcome):
            return "superseded: the original was deleted during development"
        record = outcome or claim.record
        announcement = _announcement(name, event, record, original.metadata)
        if record.status is ImageStatus.DEVELOPED and LATE_FORMAT in recipe.formats:
            announcement = dataclasses.replace(announcement, pending=LATE_FORMAT.value)
        with tracing.span("announce"):
            publish(self.sns, self.topic_arn, announcement)
        self.images.mark_announced(name.owner, claim.source)
        _record_outcome(record, event, original)
        return record.status.value

    def _undo(self, event: ObjectEvent) -> None:
        """Deletes the version that a replayed form uploaded, so that the version before it, or its
        deletion, is the current one again. Without versions nothing can be undone."""
        if event.version_id is not None:
            self.s3.delete_object(Bucket=event.bucket, Key=event.key, VersionId=event.version_id)

    def _recipe(self, chosen: str | None) -> Recipe:
        if chosen and chosen not in self.recipes.by_name:
            log.logger().warning("recipe_unknown", recipe=chosen, used=self.recipes.default)
        return self.recipes.chosen(chosen)

    def _develop(
        self, claim: Claim, original: Original, message: Message, recipe: Recipe
    ) -> ImageRecord:
        """Develops the photo and stores its renditions; returns the record of the outcome."""
        record = dataclasses.replace(claim.record, recipe=recipe.version)
        if claim.source.attempts > ATTEMPTS_BEFORE_REJECTION:
            return _rejected(record, original, FAILED_REPEATEDLY, _FAILED_REPEATEDLY_MESSAGE)
        try:
            developed = original.develop(without_late_format(recipe), self.limits, message)
        except PhotoRejected as rejection:
            return _rejected(record, original, rejection.reason.value, rejection.message)
        except Exception:
            if message.last_receive:
                # An error of ours: logged for the alarm, and the owner gets an answer all the same.
                log.logger().exception("photo_development_failed", image_id=record.image_id)
                return _rejected(record, original, FAILED_REPEATEDLY, _FAILED_REPEATEDLY_MESSAGE)
            # The process survived, so this does not count as a crash.
            self.images.undo_attempt(record.owner, claim.source)
            raise
        renditions = self.images.renditions.store(
            record.owner, record.image_id, developed.renditions
        )
        renditions += late_renditions(claim.record, recipe)
        return developed_record(record, developed, renditions)


def _record_outcome(record: ImageRecord, event: ObjectEvent, original: Original) -> None:
    metrics.record(Metric.PHOTOS, outcome=record.status.value, reason=record.reason or _NO_REASON)
    metrics.record(Metric.PHOTO_BYTES, original.size)
    elapsed_ms = None if event.backfilled else milliseconds_since(event.time)
    if elapsed_ms is not None:
        metrics.record(Metric.UPLOAD_TO_DEVELOPED, round(elapsed_ms))


def _is_current(record: ImageRecord, recipe: Recipe) -> bool:
    """Whether the image has an outcome with this recipe, and the facts that its originals allow."""
    location_missing = record.location_keys and not record.location_known
    return (
        record.settled
        and record.recipe == recipe.version
        and not (record.status is ImageStatus.DEVELOPED and location_missing)
    )


def developed_record(
    record: ImageRecord, developed: Developed, renditions: tuple[StoredRendition, ...]
) -> ImageRecord:
    """`record` of an image that was developed, with its stored renditions."""
    return dataclasses.replace(
        record,
        status=ImageStatus.DEVELOPED,
        reason=None,
        message=None,
        placeholder=developed.placeholder,
        fingerprint=developed.fingerprint,
        dominant_colour=developed.dominant_colour,
        facts={k: v for k, v in dataclasses.asdict(developed.facts).items() if v is not None},
        renditions=renditions,
    )


def _source(event: ObjectEvent, original: Original) -> Source:
    # The content of an original over the byte limit is not read; its tag and size identify it.
    identity = (
        image_id_of(original.sha256)
        if original.content
        else image_id(f"{event.etag}:{original.size}".encode())
    )
    return Source(
        key=event.key,
        sequencer=event.sequencer,
        image_id=identity,
        etag=event.etag,
        version_id=event.version_id,
        bytes=original.size if _is_true(original.metadata, METADATA_SINGLE_USE) else 0,
    )


def _is_replay(found: Source | None, event: ObjectEvent, original: Original) -> bool:
    """Whether a form that is for one upload was posted again: its original is known by another
    event, as developed, deleted or in work. An original that a backfill made known has had no
    event of its own before."""
    return (
        event.posted
        and _is_true(original.metadata, METADATA_SINGLE_USE)
        and found is not None
        and found.sequencer not in (event.sequencer, BACKFILL_SEQUENCER)
    )


def _announcement(
    name: OriginalName, event: ObjectEvent, record: ImageRecord, metadata: dict[str, str]
) -> ImageEvent:
    developed = record.status is ImageStatus.DEVELOPED
    kind = ImageEventType.DEVELOPED if developed else ImageEventType.REJECTED
    return ImageEvent(
        id=event_id(kind, name.owner, event.key, event.sequencer),
        type=kind,
        time=event.time or now(),
        owner=name.owner,
        image_id=record.image_id,
        source_key=event.key,
        filename=name.filename,
        recipient=None if event.backfilled else metadata.get(METADATA_NOTIFY),
        recipient_name=unquote(metadata.get(METADATA_NOTIFY_NAME, "")) or None,
        on_website=_is_true(metadata, METADATA_ON_WEBSITE) or None,
        width=record.facts.get("width"),
        height=record.facts.get("height"),
        dominant_colour=record.dominant_colour,
        thumbnail_key=_thumbnail_key(record),
        reason=record.reason,
        message=record.message,
    )


def _thumbnail_key(record: ImageRecord) -> str | None:
    """The key of the picture for the e-mail: a JPEG, `thumb` or else the smallest."""
    stills = [r for r in record.renditions if r.format == OutputFormat.JPEG and not r.animated]
    found = min(stills, key=lambda r: (r.name != _THUMBNAIL, r.bytes), default=None)
    return None if found is None else found.key


def _rejected(record: ImageRecord, original: Original, reason: str, message: str) -> ImageRecord:
    return dataclasses.replace(
        record,
        status=ImageStatus.REJECTED,
        reason=reason,
        message=message,
        facts={"bytes": original.size},
    )


def _is_true(metadata: dict[str, str], name: str) -> bool:
    return metadata.get(name, "").lower() == "true"
