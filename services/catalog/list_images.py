"""A customer's own images: listed, looked at, deleted. Somebody else's do not exist for them."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.catalog.api import (
    IMAGE_NOT_FOUND,
    Image,
    ImagePage,
    ImageParameters,
    ImageSummary,
    ListParameters,
    Rendition,
)
from services.catalog.model import ImageRecord, ImageStatus, StoredRendition, parse_original_key
from services.catalog.store import Catalog, Position
from services.platform import cursor
from services.platform.aws.objects import delete_objects
from services.platform.functions.http import HttpProblem, Request, Response, matches_etag

LINK_SECONDS = 3600
# An answer is new, with fresh links, at least this often, so that a client that always sends
# If-None-Match never holds links that are over.
LINKS_RENEWED_SECONDS = 1800


@dataclass(frozen=True)
class Gallery:
    """Reads the catalogue and signs links to the renditions."""

    catalog: Catalog
    s3: Any
    renditions_bucket: str

    def list(self, request: Request) -> Response:
        """Answers GET /images."""
        wanted: ListParameters = request.parameters
        owner = request.caller.user_id
        if wanted.upload is not None:
            found = self.catalog.of_upload(owner, wanted.upload)
            return Response(200, ImagePage(images=[*map(self._summary, found)], next_cursor=None))
        before = None
        if wanted.cursor is not None:
            before = Position(*cursor.decode(wanted.cursor, 2))
        # One more than wanted tells whether there is a next page.
        found = self.catalog.newest(owner, wanted.limit + 1, before)
        page, more = found[: wanted.limit], found[wanted.limit :]
        next_cursor = cursor.encode([page[-1].listed_at, page[-1].image_id]) if more else None
        return Response(200, ImagePage(images=[*map(self._summary, page)], next_cursor=next_cursor))

    def get(self, request: Request) -> Response:
        """Answers GET /images/{id}."""
        wanted: ImageParameters = request.parameters
        record = self.catalog.image(request.caller.user_id, wanted.id)
        if record is None or not record.visible:
            raise _not_found(wanted.id)
        etag = _etag(record, time.time())
        # The owner's browser may keep it, but asks each time whether it still holds.
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if matches_etag(request, etag):
            return Response(304, headers=headers)
        return Response(200, self._image(record), headers)

    def _summary(self, record: ImageRecord) -> ImageSummary:
        return ImageSummary(**self._shared(record))

    def _image(self, record: ImageRecord) -> Image:
        expires = datetime.fromtimestamp(time.time() + LINK_SECONDS, UTC)
        return Image(
            **self._shared(record),
            fingerprint=record.fingerprint,
            facts={k: v for k, v in record.facts.items() if k not in ("width", "height")},
            renditions=[
                Rendition(
                    name=item.name,
                    format=item.format,
                    width=item.width,
                    height=item.height,
                    bytes=item.bytes,
                    animated=item.animated,
                    url=self._link(item),
                )
                for item in record.renditions
            ],
            links_expire_at=expires.isoformat(timespec="seconds").replace("+00:00", "Z"),
        )

    def _shared(self, record: ImageRecord) -> dict[str, Any]:
        smallest = min(record.renditions, key=lambda item: item.bytes, default=None)
        names = {parse_original_key(key).filename for key in record.source_keys}
        return {
            "id": record.image_id,
            "status": record.status.value,
            "uploaded_at": record.listed_at,
            "filenames": sorted(names),
            "reason": record.reason,
            "message": record.message,
            "width": record.facts.get("width"),
            "height": record.facts.get("height"),
            "placeholder": record.placeholder,
            "dominant_colour": record.dominant_colour,
            "thumbnail": None if smallest is None else self._link(smallest),
        }

    def _link(self, rendition: StoredRendition) -> str:
        return str(
            self.s3.generate_presigned_url(
                "get_object",
                Params={"Bucket": self.renditions_bucket, "Key": rendition.key},
                ExpiresIn=LINK_SECONDS,
            )
        )


@dataclass(frozen=True)
class Deletion:
    """Deletes images: hides the record, then removes the originals. Their removal's events take the
    renditions and the record along (process-image)."""

    catalog: Catalog
    s3: Any
    originals_bucket: str

    def handle(self, request: Request) -> Response:
        """Answers DELETE /images/{id}. Safe to repeat: a deletion that was cut off goes on."""
        wanted: ImageParameters = request.parameters
        record = self.catalog.hide(request.caller.user_id, wanted.id)
        if record is None or record.status is ImageStatus.DELETING:
            raise _not_found(wanted.id)
        delete_objects(self.s3, self.originals_bucket, sorted(record.source_keys))
        return Response(204)


def _not_found(image_id: str) -> HttpProblem:
    return HttpProblem(IMAGE_NOT_FOUND, f"You have no image {image_id}.")


def _etag(record: ImageRecord, now: float) -> str:
    """Weak: the same state of the record within LINKS_RENEWED_SECONDS has the same tag, whatever
    the signatures in its links."""
    state = (
        record.status.value,
        record.recipe,
        record.reason,
        sorted(record.source_keys),
        record.listed_at,
        [rendition.key for rendition in record.renditions],
        int(now // LINKS_RENEWED_SECONDS),
    )
    return f'W/"{hashlib.sha256(repr(state).encode()).hexdigest()[:20]}"'
