"""The input and output types of `develop`. Imports nothing but the standard library.

Sizes are pixels, file sizes are bytes, angles are decimal degrees (WGS 84), times are seconds.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass, field, replace
from enum import StrEnum

# Part of every recipe's version. Raise it when the pipeline or a codec library changes the
# renditions that a recipe gives.
PIPELINE_REVISION = 4


class SourceFormat(StrEnum):
    """The accepted formats. The file's bytes decide, never its name or declared type."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    GIF = "gif"
    TIFF = "tiff"
    HEIF = "heif"
    AVIF = "avif"


class OutputFormat(StrEnum):
    """The formats of renditions."""

    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def extension(self) -> str:
        """The usual file name extension, without the dot."""
        return "jpg" if self is OutputFormat.JPEG else self.value

    @property
    def content_type(self) -> str:
        """The media type as IANA registers it."""
        return f"image/{self.value}"


# Encoded after all others, by a function of its own: it takes longer than they do together.
LATE_FORMAT = OutputFormat.AVIF


class JpegFlavour(StrEnum):
    """How a JPEG's picture data are ordered: from top to bottom, or coarse first and then finer.

    Both have Huffman tables made for the picture. Progressive takes twice the time to encode and
    to decode.
    """

    BASELINE = "baseline"
    PROGRESSIVE = "progressive"


class RejectionReason(StrEnum):
    """Why a photo cannot be developed."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not-an-image"
    UNSUPPORTED_FORMAT = "unsupported-format"
    TOO_MANY_BYTES = "too-many-bytes"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MANY_FRAMES = "too-many-frames"
    TOO_MANY_PIXELS_IN_ALL = "too-many-pixels-in-all"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    POLYGLOT = "polyglot"
    TIMED_OUT = "timed-out"
    TOO_MUCH_MEMORY = "too-much-memory"
    TOO_EXPENSIVE = "too-expensive"


class PhotoRejected(Exception):  # noqa: N818 - an outcome, not an error
    """The photo cannot be developed, and never will be from these bytes.

    `message` is for the photo's owner: what is wrong, what was expected, what to do.
    """

    def __init__(self, reason: RejectionReason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.message}"


@dataclass(frozen=True)
class Limits:
    """How large a photo may be. Each limit has a rejection reason of its own.

    `pixels_in_all_max` counts every frame at the full size of the canvas, which is what a decoder
    has to produce. `seconds_max` is wall time from the call of `develop`; it is checked between
    steps and between frames, and inside a decoder call by `isolation`. `memory_bytes_max` is
    compared with an estimate of the process's peak before decoding; give it the memory of the
    function.
    """

    bytes_max: int = 64 * 1024 * 1024
    pixels_per_frame_max: int = 220_000_000
    frames_max: int = 1_000
    pixels_in_all_max: int = 250_000_000
    seconds_max: float = 60.0
    memory_bytes_max: int = 1000 * 1024 * 1024


class Focus(StrEnum):
    """The part of a photo that a crop keeps. SUBJECT is what stands out most: a guess."""

    CENTRE = "centre"
    TOP = "top"
    BOTTOM = "bottom"
    LEFT = "left"
    RIGHT = "right"
    SUBJECT = "subject"


@dataclass(frozen=True)
class Cover:
    """A size that a photo fills, in pixels; what reaches over it is cut off around `focus`."""

    width: int
    height: int
    focus: Focus = Focus.CENTRE


@dataclass(frozen=True)
class RenditionSpec:
    """A named size: the maximum length of the longer edge. Smaller photos keep their own size.

    `jpeg_flavour` is that of the size's JPEG. `cover` cuts the photo to other proportions.
    `sharpening_percent` is the strength of an unsharp mask after the photo was made smaller, 0 for
    none.
    """

    name: str
    long_edge_pixels: int
    jpeg_flavour: JpegFlavour = JpegFlavour.BASELINE
    cover: Cover | None = None
    sharpening_percent: int = 0


@dataclass(frozen=True)
class Recipe:
    """The renditions to make. Qualities are 0..100, `webp_method` is 0 (fast)..6 (small),
    `avif_speed` 0 (small)..10 (fast)."""

    renditions: tuple[RenditionSpec, ...] = (
        RenditionSpec("thumb", 256),
        RenditionSpec("medium", 1024),
        RenditionSpec("large", 2048),
    )
    formats: tuple[OutputFormat, ...] = (OutputFormat.JPEG, OutputFormat.WEBP)
    jpeg_quality: int = 80
    webp_quality: int = 80
    webp_method: int = 2
    avif_quality: int = 60
    avif_speed: int = 8

    @property
    def version(self) -> str:
        """Twelve hex digits that change whenever the renditions of a source change."""
        content = repr((PIPELINE_REVISION, astuple(self)))
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def without_late_format(recipe: Recipe) -> Recipe:
    """`recipe` with the formats that are encoded at once."""
    return replace(recipe, formats=tuple(f for f in recipe.formats if f is not LATE_FORMAT))


@dataclass(frozen=True)
class Rendition:
    """One picture made from the photo: upright, in sRGB, without metadata."""

    name: str
    format: OutputFormat
    width: int
    height: int
    data: bytes
    animated: bool


@dataclass(frozen=True)
class Location:
    """Where the photo was taken. Private: stored only if the owner agreed."""

    latitude: float
    longitude: float
    altitude_metres: float | None


class TimeSource(StrEnum):
    """The metadata field that `Facts.taken_at` comes from."""

    ORIGINAL = "original"
    DIGITIZED = "digitized"
    XMP = "xmp"
    IPTC = "iptc"
    MODIFIED = "modified"


@dataclass(frozen=True)
class Facts:
    """What the file states about itself. `width` and `height` are as seen, after orientation.

    `taken_at` is ISO 8601 text, with an offset only where the camera wrote one. `taken_at_source`
    says which time it is; MODIFIED may be the time of a later edit.
    """

    format: SourceFormat
    width: int
    height: int
    frames: int
    bytes: int
    sha256: str
    camera: str | None
    lens: str | None
    exposure_seconds: float | None
    aperture: float | None
    iso: int | None
    focal_length_mm: float | None
    taken_at: str | None
    taken_at_source: TimeSource | None
    colour_profile: str | None
    location: Location | None


@dataclass(frozen=True)
class Step:
    """One step of a development. Times of `time.monotonic`, which all processes share."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Developed:
    """The result of `develop`.

    `placeholder` is a ThumbHash in base64, `fingerprint` a 64-bit perceptual hash as 16 hex digits,
    `dominant_colour` an sRGB colour as "#rrggbb". `steps` are those of the work.
    """

    facts: Facts
    renditions: tuple[Rendition, ...]
    placeholder: str
    fingerprint: str
    dominant_colour: str
    steps: tuple[Step, ...] = field(default=(), compare=False)
