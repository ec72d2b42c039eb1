"""A removed original: its images lose it, and are deleted with their last original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.catalog.lifecycle import ImageLifecycle
from services.catalog.model import OriginalName, Source
from services.events.images import ImageEvent, ImageEventType, event_id, publish
from services.events.storage import ObjectEvent
from services.platform.aws.clients import error_code
from services.platform.timestamps import now

_MISSING = frozenset({"NoSuchKey", "404", "NoSuchVersion"})


@dataclass(frozen=True)
class RemovedOriginal:
    """Handles ObjectRemoved events."""

    s3: Any
    sns: Any
    topic_arn: str
    images: ImageLifecycle

    def handle(self, name: OriginalName, event: ObjectEvent) -> str:
        """Detaches the original from its images if the event is the newest of its key. Returns the
        outcome, for the log. Raises ChangedMeanwhileError."""
        if self._exists(event):
            # A non-current version was removed, or a newer upload has an event of its own.
            return "ignored: the original exists"
        found = self.images.catalog.source(name.owner, event.key)
        if found is not None and found.sequencer > event.sequencer:
            return "superseded: a newer event was handled"
        removed = Source(key=event.key, sequencer=event.sequencer)
        image_ids = self.images.detach(name.owner, found, removed)
        for image_id in image_ids:
            publish(self.sns, self.topic_arn, _announcement(name, event, image_id))
        return "deleted" if image_ids else "removed before it was created"

    def _exists(self, event: ObjectEvent) -> bool:
        try:
            self.s3.head_object(Bucket=event.bucket, Key=event.key)
        except self.s3.exceptions.ClientError as error:
            if error_code(error) in _MISSING:
                return False
            raise
        return True


def _announcement(name: OriginalName, event: ObjectEvent, image_id: str) -> ImageEvent:
    return ImageEvent(
        id=event_id(ImageEventType.DELETED, name.owner, event.key, event.sequencer),
        type=ImageEventType.DELETED,
        time=event.time or now(),
        owner=name.owner,
        image_id=image_id,
        source_key=event.key,
        filename=name.filename,
    )
