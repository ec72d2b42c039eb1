"""The input and output types of print files. Imports nothing but the standard library.

Lengths on paper are millimetres, in files they are pixels; resolutions are pixels per printed inch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from services.imaging import icc

MM_PER_INCH = 25.4
# What photo printers and presses want: about what the eye resolves at reading distance (one minute
# of arc at 30 cm is 290 dots an inch).
PRINT_DPI = 300
# Added on each side and cut off again, so that a cut which misses by a little shows no white edge.
BLEED_MM = 3.0
# Below the first a print looks soft in the hand and the customer is warned; below the second it
# shows its pixels at any distance, and is refused.
WARN_BELOW_DPI = 150
REFUSE_BELOW_DPI = 100
# A passport photo is 35 mm wide; 900 mm is the longest edge of the usual posters, and keeps a
# print file below 115 megapixels.
EDGE_MM_MIN, EDGE_MM_MAX = 20.0, 900.0


class PrintOrientation(StrEnum):
    """The orientation of a print that is not square."""

    FOLLOWS_PHOTO = "follows-photo"
    PORTRAIT = "portrait"
    LANDSCAPE = "landscape"


class PrintFormat(StrEnum):
    """The formats that print files are written in. Only TIFF holds CMYK."""

    JPEG = "jpeg"
    TIFF_LZW = "tiff-lzw"
    TIFF_DEFLATE = "tiff-deflate"

    @property
    def extension(self) -> str:
        """The usual ending of a file's name, without the dot."""
        return "jpg" if self is PrintFormat.JPEG else "tif"

    @property
    def content_type(self) -> str:
        """The media type as IANA registers it."""
        return "image/jpeg" if self is PrintFormat.JPEG else "image/tiff"


class RenderingIntent(Enum):
    """What to do with colours that the paper cannot show (ICC.1:2022 6.2), by ICC's numbers."""

    PERCEPTUAL = 0
    RELATIVE_COLORIMETRIC = 1
    SATURATION = 2
    ABSOLUTE_COLORIMETRIC = 3


@dataclass(frozen=True)
class Focus:
    """The point that must be in the print, in fractions 0..1 of the upright photo: from its left
    edge and from its top."""

    x: float
    y: float

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise ValueError(
                f"expected a focus in fractions 0..1 of the photo, got ({self.x}, {self.y}); "
                "divide pixels by the photo's width and height"
            )


@dataclass(frozen=True)
class PrintSpec:
    """A print as it was ordered, and the file that the lab wants for it.

    `width_mm` and `height_mm` are of the finished print, after the bleed is cut off; which of them
    is the longer does not matter, as `orientation` decides how the print is turned. Without
    a `focus` the most salient part of the photo is kept.

    `profile` is the ICC profile of the lab's printer and paper; without one the file is in sRGB.
    Relative colorimetric with black point compensation leaves every colour alone that the paper
    can show, and maps black to black: the default of Adobe's programs.

    Raises ValueError for a print that cannot be made: the caller's error.
    """

    width_mm: float
    height_mm: float
    orientation: PrintOrientation = PrintOrientation.FOLLOWS_PHOTO
    focus: Focus | None = None
    format: PrintFormat = PrintFormat.JPEG
    jpeg_quality: int = 95
    profile: bytes | None = field(default=None, repr=False)
    intent: RenderingIntent = RenderingIntent.RELATIVE_COLORIMETRIC
    black_point_compensation: bool = True

    def __post_init__(self) -> None:
        for name, edge in (("width_mm", self.width_mm), ("height_mm", self.height_mm)):
            if not EDGE_MM_MIN <= edge <= EDGE_MM_MAX:
                raise ValueError(
                    f"expected {name} between {EDGE_MM_MIN:g} and {EDGE_MM_MAX:g}, got {edge}; "
                    "give the size of the finished print in millimetres, without bleed"
                )
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(
                f"expected jpeg_quality between 1 and 100, got {self.jpeg_quality}; "
                "95 is what labs ask for"
            )
        if self.profile is not None:
            self._check_profile(icc.read(self.profile))

    def _check_profile(self, profile: icc.Profile | None) -> None:
        space = profile.space if profile else "no ICC profile at all"
        if space not in ("RGB ", "CMYK"):
            raise ValueError(
                f"expected an ICC profile for RGB or CMYK, got {space.strip()}; "
                "take the printer's output profile, or none for sRGB"
            )
        if space == "CMYK" and self.format is PrintFormat.JPEG:
            raise ValueError(
                "expected a TIFF format for a CMYK profile, got jpeg; programs disagree on whether "
                "inks in a JPEG are inverted, so choose tiff-lzw or tiff-deflate"
            )


class Verdict(StrEnum):
    """The assessment of a print's resolution."""

    GOOD = "good"
    LOW = "low"  # printed, with a warning
    TOO_LOW = "too-low"  # refused


@dataclass(frozen=True)
class Window:
    """A part of the upright photo, in its pixels. Edges may lie between pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The bottom edge."""
        return self.top + self.height


@dataclass(frozen=True)
class Resolution:
    """The photo's own pixels per inch of print, and their assessment.

    `crop` is the part that is printed, bleed included; None while the focus is not known. `message`
    is for the customer, None where the resolution is good. `sharp_mm` is the width and height of
    the largest print in these proportions that is sharp; None where the resolution is good, and
    where no print is sharp.
    """

    dpi: float
    verdict: Verdict
    crop: Window | None
    message: str | None
    sharp_mm: tuple[int, int] | None = None


@dataclass(frozen=True)
class PrintFile:
    """A file for the printer: upright, cropped, sharpened, bleed included, no metadata but its
    resolution and its colour profile.

    `width_mm` and `height_mm` are of the finished print in its orientation, `width` and `height`
    are the file's pixels, `crop` is the part of the photo that they show.
    """

    data: bytes
    format: PrintFormat
    width: int
    height: int
    width_mm: float
    height_mm: float
    dpi: float
    crop: Window
    warning: str | None


class RefusalReason(StrEnum):
    """Why a sound photo is not printed."""

    RESOLUTION_TOO_LOW = "resolution-too-low"


class PrintRefused(Exception):  # noqa: N818 - an outcome, not an error
    """The photo is sound, but not for this print.

    `message` is for the customer: what was expected, what was found, what to do.
    """

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(f"{reason.value}: {message}")
        self.reason = reason
        self.message = message
