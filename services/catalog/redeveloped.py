"""An image that is developed again, because its recipe changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from services.catalog.created import developed_record
from services.catalog.key_layout import KeyLayout
from services.catalog.lifecycle import ImageLifecycle
from services.catalog.model import ImageRecord, ImageStatus, Source
from services.catalog.originals import download
from services.catalog.renditions import has_late_renditions, late_renditions
from services.events.images import ImageEvent, ImageEventType, publish, redevelopment_id
from services.events.redevelopment import RedevelopmentRequest
from services.imaging.model import (
    LATE_FORMAT,
    Limits,
    PhotoRejected,
    Recipe,
    without_late_format,
)
from services.imaging.recipes import Recipes
from services.platform import log
from services.platform.functions.sqs import Message
from services.platform.timestamps import now


@dataclass(frozen=True)
class RedevelopedImage:
    """Handles requests to develop an image again."""

    s3: Any
    sns: Any
    topic_arn: str
    images: ImageLifecycle
    recipes: Recipes
    limits: Limits
    layout: KeyLayout

    def handle(self, request: RedevelopmentRequest, message: Message) -> str:
        """Renders the image by its recipe unless it is up to date, and announces it without an
        e-mail. Returns the outcome, for the log. Raises ChangedMeanwhileError."""
        catalog = self.images.catalog
        source = catalog.source(request.owner, request.source_key)
        record = catalog.image(request.owner, request.image_id)
        if source is None or record is None or not _is_developed(source, record):
            return "superseded: the image was changed or deleted"
        recipe = self.recipes.chosen(record.recipe_name)
        # An attempt that ended early may have replaced a part of the renditions.
        if record.recipe != recipe.version or message.receive_count > 1:
            try:
                changed = self._develop(request, source, record, recipe, message)
            except PhotoRejected as rejection:
                # The photo is developed, and stays so, with the renditions that it has.
                log.logger().warning("redevelopment_rejected", reason=rejection.reason.value)
                return f"not redeveloped: {rejection.reason.value}"
            if changed is None:
                return "superseded: the original was changed or deleted"
            record = changed
        elif has_late_renditions(record, recipe):
            return "repeated: the image is up to date"
        publish(self.sns, self.topic_arn, self._announcement(source, record, recipe))
        return "redeveloped"

    def _develop(
        self,
        request: RedevelopmentRequest,
        source: Source,
        record: ImageRecord,
        recipe: Recipe,
        message: Message,
    ) -> ImageRecord | None:
        """The record with new renditions; None when the original was changed or deleted. Raises
        PhotoRejected."""
        original = download(self.s3, request.bucket, source.key, source.etag, self.limits.bytes_max)
        if original is None:
            return None
        developed = original.develop(without_late_format(recipe), self.limits, message)
        stored = self.images.renditions.store(record.owner, record.image_id, developed.renditions)
        stored += late_renditions(record, recipe)
        wanted = dataclasses.replace(record, recipe=recipe.version)
        outcome = developed_record(wanted, developed, stored)
        return outcome if self.images.replace(record, source.key, outcome) else None

    def _announcement(self, source: Source, record: ImageRecord, recipe: Recipe) -> ImageEvent:
        return ImageEvent(
            id=redevelopment_id(record.owner, source.key, source.sequencer, recipe.version),
            type=ImageEventType.REDEVELOPED,
            time=now(),
            owner=record.owner,
            image_id=record.image_id,
            source_key=source.key,
            filename=self.layout.parse(source.key).filename,
            width=record.facts.get("width"),
            height=record.facts.get("height"),
            dominant_colour=record.dominant_colour,
            pending=LATE_FORMAT.value if LATE_FORMAT in recipe.formats else None,
        )


def _is_developed(source: Source, record: ImageRecord) -> bool:
    return (
        not source.removed
        and source.image_id == record.image_id
        and source.key in record.source_keys
        and record.status is ImageStatus.DEVELOPED
        and record.visible
    )
