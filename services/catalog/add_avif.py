"""Adds the AVIF renditions of developed photos: the job of add-avif.

AVIF takes longer to encode than all other formats together, so process-image does not wait for it.
An event may arrive twice, late, or after its photo was deleted or overwritten: the AVIF renditions
are added only if the original is still the version that was announced and the record still has the
recipe that was announced. Keys are deterministic, and the write to the catalogue is conditional.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from services.catalog.lifecycle import ImageLifecycle
from services.catalog.model import ImageRecord, ImageStatus, Source
from services.catalog.originals import download
from services.catalog.renditions import RenditionStore, has_late_renditions
from services.catalog.store import Catalog
from services.events.images import (
    ImageEvent,
    ImageEventType,
    event_id,
    parse_image_event,
    redevelopment_id,
)
from services.imaging.model import LATE_FORMAT, Limits, PhotoRejected
from services.imaging.recipes import Recipes
from services.platform import log
from services.platform.errors import TransientError
from services.platform.functions.sqs import Message


class OtherRecipeError(TransientError):
    """The image was developed by another recipe than this function has: a deployment is under way,
    or the image has to be developed again."""


@dataclass(frozen=True)
class AddAvif:
    """Handles events of photos that were developed, or developed again, and whose recipe has
    AVIF."""

    s3: Any
    catalog: Catalog
    originals_bucket: str
    renditions_bucket: str
    recipes: Recipes
    limits: Limits

    def handle(self, message: Message) -> None:
        """Adds the AVIF renditions of one photo. Raises OtherRecipeError, and PermanentError for a
        message that is no image event."""
        event = parse_image_event(message.body)
        log.bind(owner=event.owner, image_id=event.image_id, event_id=event.id)
        log.logger().info("avif_pass_ended", outcome=self._add(event, message))

    def _add(self, event: ImageEvent, message: Message) -> str:
        """Returns the outcome, for the log."""
        images = ImageLifecycle(self.catalog, RenditionStore(self.s3, self.renditions_bucket))
        source = self.catalog.source(event.owner, event.source_key)
        record = self.catalog.image(event.owner, event.image_id)
        if record is None:
            # An earlier attempt may have stored renditions after the image was deleted.
            images.delete_if_unused(event.owner, event.image_id)
            return "superseded: the image was deleted"
        if source is None or not _is_current(event, source, record):
            return "superseded: the image was changed or deleted"
        recipe = self.recipes.chosen(record.recipe_name)
        if record.recipe != recipe.version:
            raise OtherRecipeError(
                f"image {record.image_id} has the recipe version {record.recipe}, expected "
                f"{recipe.version}: process-image and add-avif need the same recipes, and an "
                "image of an earlier recipe has to be developed again (`darkroom redevelop`)"
            )
        late = dataclasses.replace(recipe, formats=(LATE_FORMAT,))
        if has_late_renditions(record, recipe):
            return "repeated: the renditions were added before"
        original = download(
            self.s3,
            self.originals_bucket,
            event.source_key,
            source.etag,
            self.limits.bytes_max,
        )
        if original is None:
            return "superseded: the original was changed or deleted"
        try:
            developed = original.develop(late, self.limits, message)
        except PhotoRejected as rejection:
            # The photo is developed, and stays so: its other renditions are complete.
            log.logger().warning("avif_not_added", reason=rejection.reason.value)
            return f"not added: {rejection.reason.value}"
        stored = images.renditions.store(record.owner, record.image_id, developed.renditions)
        if not images.add_renditions(record, event.source_key, stored):
            return "superseded: the image was changed or deleted during the encoding"
        return f"added {len(stored)}"


def _is_current(event: ImageEvent, source: Source, record: ImageRecord) -> bool:
    """Whether the event is about the newest version of its original."""
    newest = event_id(ImageEventType.DEVELOPED, event.owner, source.key, source.sequencer)
    if event.type is ImageEventType.REDEVELOPED:
        newest = redevelopment_id(event.owner, source.key, source.sequencer, str(record.recipe))
    return (
        event.id == newest
        and not source.removed
        and source.image_id == event.image_id
        and record.status is ImageStatus.DEVELOPED
        and record.visible
    )
