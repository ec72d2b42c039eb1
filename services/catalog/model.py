"""The catalogue's records and how things are named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.platform.errors import PermanentError

# Object metadata that an upload may carry (S3 gives them back in lower case).
METADATA_NOTIFY = "notify"  # the address to tell what became of the photo
METADATA_KEEP_LOCATION = "keep-location"  # "true": the owner opted in to GPS in the catalogue

_IMAGE_ID_DIGITS = 32


class ImageStatus(StrEnum):
    """`deleting` is the short time between the decision to delete and the deletion."""

    DEVELOPING = "developing"
    DEVELOPED = "developed"
    REJECTED = "rejected"
    DELETING = "deleting"


@dataclass(frozen=True)
class OriginalName:
    """The parts of an original's key, `<owner>/<upload>/<filename>`."""

    owner: str
    upload: str
    filename: str

    @property
    def key(self) -> str:
        return f"{self.owner}/{self.upload}/{self.filename}"


def parse_original_key(key: str) -> OriginalName:
    """The parts of an original's key. Raises PermanentError for a key of another form."""
    parts = key.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise PermanentError(f"expected an original's key <owner>/<upload>/<filename>, got {key!r}")
    return OriginalName(*parts)


def image_id(content: bytes) -> str:
    """The image's identity: 128 bits of the content's SHA-256, as 32 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:_IMAGE_ID_DIGITS]


def rendition_prefix(owner: str, image: str) -> str:
    """Where an image's renditions lie. The same for every delivery, so a repetition overwrites."""
    return f"{owner}/{image}/"


@dataclass(frozen=True)
class StoredRendition:
    """One rendition in the renditions bucket; sizes in pixels and bytes."""

    name: str
    format: str
    width: int
    height: int
    bytes: int
    key: str
    animated: bool = False


@dataclass(frozen=True)
class Source:
    """What the lab knows of one original: which change it saw last, and which image that is.

    `attempts` counts developments that were begun and never came back; `announced` tells that the
    event was published; `stale_image_id` is the image that an overwritten original was before, and
    that may have to go. `removed` marks a tombstone.
    """

    key: str
    sequencer: str
    image_id: str | None = None
    etag: str = ""
    version_id: str | None = None
    attempts: int = 0
    announced: bool = False
    removed: bool = False
    stale_image_id: str | None = None


@dataclass(frozen=True)
class ImageRecord:
    """One image of one owner, as the catalogue has it."""

    owner: str
    image_id: str
    status: ImageStatus
    source_keys: frozenset[str]
    listed_at: str
    recipe: str | None = None
    reason: str | None = None
    message: str | None = None
    placeholder: str | None = None
    fingerprint: str | None = None
    dominant_colour: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    renditions: tuple[StoredRendition, ...] = ()
    deleted_by_owner: bool = False
    """It is out of sight; the record goes when the originals have gone."""

    @property
    def visible(self) -> bool:
        """Whether its owner still has it."""
        return not self.deleted_by_owner and self.status is not ImageStatus.DELETING

    @property
    def settled(self) -> bool:
        return self.status in (ImageStatus.DEVELOPED, ImageStatus.REJECTED)
