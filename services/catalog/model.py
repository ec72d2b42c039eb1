"""The catalogue's records, and the names of originals, images and renditions."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.platform.errors import PermanentError

# Object metadata of an upload (S3 returns names in lower case).
METADATA_NOTIFY = "notify"  # the address to notify of the outcome
METADATA_NOTIFY_NAME = "notify-name"  # that person's name, percent-encoded UTF-8
METADATA_ON_WEBSITE = "on-website"  # "true": e-mails may link to the photo on the website
METADATA_CORRELATION_ID = "correlation-id"  # see services/platform/log.py
METADATA_KEEP_LOCATION = "keep-location"  # "true": store the location in the catalogue
METADATA_SINGLE_USE = "single-use"  # "true": of a form whose first upload alone counts
METADATA_RECIPE = "recipe"  # the name of a recipe; the deployment's default one without it

# The reason of a photo whose development ended the process again and again. The others are
# services.imaging.model.RejectionReason.
FAILED_REPEATEDLY = "failed-repeatedly"

_IMAGE_ID_DIGITS = 32
_UPLOAD_ID = re.compile("[0-9a-f]{32}")


class ImageStatus(StrEnum):
    """The state of an image; `deleting` lasts until its renditions and its record are deleted."""

    DEVELOPING = "developing"
    DEVELOPED = "developed"
    REJECTED = "rejected"
    DELETING = "deleting"


@dataclass(frozen=True)
class OriginalName:
    """The parts of an original's key, `<owner>/<upload>/<filename>`.

    In a bucket with another layout, `upload` is empty and `free_key` is the whole key.
    """

    owner: str
    upload: str
    filename: str
    free_key: str | None = None

    @property
    def key(self) -> str:
        if self.free_key is not None:
            return self.free_key
        return f"{self.owner}/{self.upload}/{self.filename}"

    @property
    def correlation_id(self) -> str:
        """The upload's id, as POST /uploads makes it. Other uploaders may give several photos one
        name, so that theirs is the hash of the whole key."""
        return self.upload if _UPLOAD_ID.fullmatch(self.upload) else image_id(self.key.encode())


def parse_original_key(key: str) -> OriginalName:
    """The parts of an original's key. Raises PermanentError for a key of another form."""
    parts = key.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise PermanentError(
            f"{key!r} is not a key of an original; expected <owner>/<upload>/<filename>"
        )
    return OriginalName(*parts)


def image_id(content: bytes) -> str:
    """An image's id: the first 128 bits of the content's SHA-256, as 32 hexadecimal digits."""
    return image_id_of(hashlib.sha256(content).hexdigest())


def image_id_of(sha256: str) -> str:
    """An image's id, out of the content's SHA-256 as hexadecimal digits."""
    return sha256[:_IMAGE_ID_DIGITS]


def rendition_prefix(owner: str, image: str) -> str:
    """The prefix of the keys of an image's renditions, the same for every delivery of an event."""
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
    """The state of one original: its newest handled event (`sequencer`) and its image.

    `attempts` counts attempts to develop it that ended the process. `announced`: the event was
    published. `stale_image_id` is the image of the content before it was overwritten, until it is
    detached. `removed` marks a tombstone.
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
    bytes: int = 0
    """What the original counts for its owner's limit; see services/catalog/stored_bytes.py."""


@dataclass(frozen=True)
class ImageRecord:
    """One image of one owner."""

    owner: str
    image_id: str
    status: ImageStatus
    source_keys: frozenset[str]
    listed_at: str
    recipe: str | None = None
    """The version of the recipe that the image was developed by."""
    recipe_name: str | None = None
    """The recipe that the upload chose; None for the deployment's default one."""
    reason: str | None = None
    message: str | None = None
    placeholder: str | None = None
    fingerprint: str | None = None
    dominant_colour: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    renditions: tuple[StoredRendition, ...] = ()
    deleted_by_owner: bool = False
    """Hidden; the record is deleted with the last original."""
    location_keys: frozenset[str] = frozenset()
    """The originals that were uploaded with `keep-location`. Without one, `facts` has no
    location."""
    location_known: bool = False
    """Whether `facts` has the location of a photo that states one."""

    @property
    def visible(self) -> bool:
        """Whether the owner can see the image."""
        return not self.deleted_by_owner and self.status is not ImageStatus.DELETING

    @property
    def settled(self) -> bool:
        """Whether the development has an outcome."""
        return self.status in (ImageStatus.DEVELOPED, ImageStatus.REJECTED)
