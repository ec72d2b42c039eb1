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
    downloads: bool = True
    """Whether renditions have links that save them as files."""

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
                    download=self._link(item, _file_name(record, item)) if self.downloads else None,
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
        return self._signed(self.originals_bucket, key, parse_original_key(key).filename)

    def _link(self, rendition: StoredRendition, file_name: str | None = None) -> str:
        return self._signed(self.renditions_bucket, rendition.key, file_name)

    def _signed(self, bucket: str, key: str, file_name: str | None) -> str:
        """A link to an object; with `file_name` it saves the object under this name."""
        parameters = {"Bucket": bucket, "Key": key}
        if file_name is not None:
            # RFC 8187, since the name may have any characters.
            name = quote(file_name, safe="")
            parameters["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{name}"
        return str(
            self.s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LINK_SECONDS)
        )


def _file_name(record: ImageRecord, rendition: StoredRendition) -> str:
    """Such as `harbour-large.jpg` of `harbour.heic`; the image's id stands for a missing name."""
    names = sorted(parse_original_key(key).filename for key in record.source_keys)
    name = names[0] if names else record.image_id
    stem = name.rpartition(".")[0] or name
    ending = "jpg" if rendition.format == "jpeg" else rendition.format
    return f"{stem}-{rendition.name}.{ending}"
