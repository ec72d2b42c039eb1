"""The API's form of catalogue records, with presigned links to renditions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from services.catalog.api import Image, ImageSummary, Rendition
from services.catalog.model import ImageRecord, StoredRendition, parse_original_key
from services.platform.timestamps import format_epoch

LINK_SECONDS = 3600


@dataclass(frozen=True)
class ImagePresenter:
    """Presents records; presigns links with the credentials of the S3 client."""

    s3: Any
    renditions_bucket: str
    originals_bucket: str = ""
    """Empty if no links to originals are made."""

    def summary(self, record: ImageRecord) -> ImageSummary:
        """The record as a list shows it."""
        return ImageSummary(**self._shared(record))

    def image(self, record: ImageRecord) -> Image:
        """The whole record. Links are valid for LINK_SECONDS."""
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
            original=self._original(record),
            links_expire_at=format_epoch(time.time() + LINK_SECONDS),
            recipe=record.recipe_name,
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
            "taken_at": record.facts.get("taken_at"),
            "placeholder": record.placeholder,
            "dominant_colour": record.dominant_colour,
            "thumbnail": None if smallest is None else self._link(smallest),
        }

    def _original(self, record: ImageRecord) -> str | None:
        """A link that downloads the original under its own name, which no browser runs."""
        if not self.originals_bucket or not record.source_keys:
            return None
        return self.original_link(min(record.source_keys))

    def original_link(self, key: str) -> str:
        """A link that downloads the original with this key, as `_original`."""
        # RFC 8187, since the name may have any characters.
        name = quote(parse_original_key(key).filename, safe="")
        return str(
            self.s3.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.originals_bucket,
                    "Key": key,
                    "ResponseContentDisposition": f"attachment; filename*=UTF-8''{name}",
                },
                ExpiresIn=LINK_SECONDS,
            )
        )

    def _link(self, rendition: StoredRendition) -> str:
        return str(
            self.s3.generate_presigned_url(
                "get_object",
                Params={"Bucket": self.renditions_bucket, "Key": rendition.key},
                ExpiresIn=LINK_SECONDS,
            )
        )
