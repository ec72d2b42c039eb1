"""Develops uploaded photos, and removes deleted ones: the job of process-image.

An event may arrive twice, late or out of order, and a worker may die between any two steps. Every
step is therefore safe to repeat: the sequencer of an original decides which event counts, the keys
of renditions and the ids of events are deterministic, and writes to the catalogue are conditional.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from services.catalog.created import CreatedOriginal
from services.catalog.key_layout import UPLOADS, KeyLayout
from services.catalog.lifecycle import ImageLifecycle
from services.catalog.redeveloped import RedevelopedImage
from services.catalog.removed import RemovedOriginal
from services.catalog.renditions import RenditionStore
from services.catalog.store import Catalog
from services.catalog.turns import OwnerTurns
from services.events.redevelopment import parse_redevelopment
from services.events.storage import Change, parse_object_events
from services.imaging.model import Limits
from services.imaging.recipes import Recipes
from services.platform import log
from services.platform.functions.sqs import Message


@dataclass(frozen=True)
class ProcessImage:
    """Handles S3 event notifications of the originals bucket, and requests to develop an image
    again."""

    s3: Any
    sns: Any
    catalog: Catalog
    renditions_bucket: str
    topic_arn: str
    recipes: Recipes
    limits: Limits
    turns: OwnerTurns | None = None
    layout: KeyLayout = UPLOADS

    def handle(self, message: Message) -> None:
        """Handles the object events of one queue message, in their order, or the request in it.

        Raises ChangedMeanwhileError when another worker changed the same image, PermanentError
        for a message that is not a notification about originals.
        """
        request = parse_redevelopment(message.body)
        if request is not None:
            log.bind(owner=request.owner, key=request.source_key, image_id=request.image_id)
            outcome = self._redeveloped.handle(request, message)
            log.logger().info("redevelopment_ended", outcome=outcome)
            return
        for event in parse_object_events(message.body):
            name = self.layout.parse(event.key)
            log.correlate(name.correlation_id)
            # Not the key: it contains the file's name, which may be personal.
            log.bind(owner=name.owner, upload=name.upload, sequencer=event.sequencer)
            if event.change is Change.CREATED:
                if self.turns is not None and self.turns.postpone(name.owner, message):
                    return
                with self._measured():
                    outcome = self._created.handle(name, event, message)
                log.logger().info("original_created", outcome=outcome)
            else:
                outcome = self._removed.handle(name, event)
                log.logger().info("original_removed", outcome=outcome)

    def _measured(self) -> AbstractContextManager[None]:
        return nullcontext() if self.turns is None else self.turns.pace.measured()

    @cached_property
    def _images(self) -> ImageLifecycle:
        return ImageLifecycle(self.catalog, RenditionStore(self.s3, self.renditions_bucket))

    @cached_property
    def _created(self) -> CreatedOriginal:
        return CreatedOriginal(
            self.s3, self.sns, self.topic_arn, self._images, self.recipes, self.limits
        )

    @cached_property
    def _redeveloped(self) -> RedevelopedImage:
        return RedevelopedImage(
            self.s3,
            self.sns,
            self.topic_arn,
            self._images,
            self.recipes,
            self.limits,
            self.layout,
        )

    @cached_property
    def _removed(self) -> RemovedOriginal:
        return RemovedOriginal(self.s3, self.sns, self.topic_arn, self._images)
