"""Storage of renditions: one object a rendition, under keys that are the same for every delivery of
an event."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.catalog.model import ImageRecord, StoredRendition, rendition_prefix
from services.imaging.model import LATE_FORMAT, Recipe
from services.platform import tracing
from services.platform.aws.objects import delete_objects

if TYPE_CHECKING:
    from services.imaging.model import Rendition

# Those of the standard recipe. On S3 an upload takes some 30 ms, nearly all of it waiting.
UPLOADS_AT_ONCE = 6


def late_renditions(record: ImageRecord, recipe: Recipe) -> tuple[StoredRendition, ...]:
    """The renditions that add-avif added to an image, if they are of this version of its recipe."""
    if record.recipe != recipe.version:
        return ()
    return tuple(r for r in record.renditions if r.format == LATE_FORMAT.value)


def has_late_renditions(record: ImageRecord, recipe: Recipe) -> bool:
    """Whether add-avif has nothing to add to an image with this version of its recipe."""
    if LATE_FORMAT not in recipe.formats:
        return True
    present = {rendition.name for rendition in late_renditions(record, recipe)}
    return present == {spec.name for spec in recipe.renditions}


@dataclass(frozen=True)
class RenditionStore:
    """The renditions bucket."""

    s3: Any
    bucket: str

    def store(
        self, owner: str, image_id: str, renditions: Iterable[Rendition]
    ) -> tuple[StoredRendition, ...]:
        """Uploads the renditions of an image at once; overwrites those of an earlier attempt. When
        one fails, the others end first."""
        from concurrent.futures import ThreadPoolExecutor

        prefix = rendition_prefix(owner, image_id)
        with (
            tracing.span("store"),
            ThreadPoolExecutor(UPLOADS_AT_ONCE, thread_name_prefix="store") as pool,
        ):
            # Each has the invocation's end and the open span, which belong to this thread.
            uploads = [
                pool.submit(copy_context().run, self._store, prefix, item) for item in renditions
            ]
        return tuple(upload.result() for upload in uploads)

    def _store(self, prefix: str, rendition: Rendition) -> StoredRendition:
        key = f"{prefix}{rendition.name}.{rendition.format.extension}"
        self.s3.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=rendition.data,
            ContentType=rendition.format.content_type,
            # The key contains the hash of the original, not of the recipe, so not "immutable".
            CacheControl="private, max-age=86400",
        )
        return StoredRendition(
            name=rendition.name,
            format=rendition.format.value,
            width=rendition.width,
            height=rendition.height,
            bytes=len(rendition.data),
            key=key,
            animated=rendition.animated,
        )

    def delete_keys(self, keys: list[str]) -> None:
        """Deletes these objects; none for an empty list."""
        if keys:
            delete_objects(self.s3, self.bucket, keys)

    def delete(self, owner: str, image_id: str) -> None:
        """Deletes every rendition of an image. Safe to repeat."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=rendition_prefix(owner, image_id)
        )
        for page in pages:
            keys = [found["Key"] for found in page.get("Contents", ())]
            delete_objects(self.s3, self.bucket, keys)
