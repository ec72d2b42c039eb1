"""The types that every input format shares: `Structure`, and `InputFormat`, its registry entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from services.imaging.limits import WorkBudget
from services.imaging.model import PhotoRejected, RejectionReason, SourceFormat

if TYPE_CHECKING:
    from services.imaging.formats.photo import Photo

Size = tuple[int, int]


@dataclass(frozen=True)
class Structure:
    """A file's outer structure. `width` and `height` are as stored, before orientation.

    `end` is the offset of the first byte behind the picture; if `end_is_known` is false, the end
    mark is missing and the picture ends somewhere behind `end`. `exif` is a TIFF structure (EXIF
    3.0 4.5.2), `xmp` an XMP packet, `irb` Photoshop's image resources; `icc` is an ICC profile,
    embedded or made from the colour space that the file declares otherwise. Each is None where the
    file has none or the decoder reads it. `pixels` is the decoder's input if that is not the whole
    file. `plays` is how often an animation is to be shown (0: without end), None if the decoder
    reads it. `decoded_pixels` counts what the decoder has to decode for one frame. `page` is the
    index of the page to show.
    """

    width: int
    height: int
    frames: int
    end: int
    end_is_known: bool = True
    exif: bytes | None = None
    xmp: bytes | None = None
    irb: bytes | None = None
    icc: bytes | None = None
    pixels: bytes | None = None
    plays: int | None = None
    decoded_pixels: int = 0
    # Bytes that the decoder needs besides those for each decoded pixel, and those.
    fixed_bytes: int = 0
    bytes_per_pixel: int = 8
    page: int = 0

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height


@dataclass(frozen=True)
class InputFormat:
    """Everything the pipeline knows about an input format.

    `sniff` recognizes the format by the file's first bytes. `read` checks the structure without
    decoding a pixel, within a work budget. `open` gives the decoder. `is_animated` says that
    further frames are an animation, `orientation_applied` that the decoder already turns the
    picture upright, `adobe_rgb_by_exif` that EXIF may declare Adobe RGB (DCF 2.0).
    """

    name: SourceFormat
    content_types: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    read: Callable[[bytes, WorkBudget], Structure]
    open: Callable[[bytes, Structure], Photo]
    is_animated: bool = False
    orientation_applied: bool = False
    adobe_rgb_by_exif: bool = False


def truncated(what: str) -> NoReturn:
    """Raises PhotoRejected (truncated)."""
    raise PhotoRejected(
        RejectionReason.TRUNCATED,
        f"The file ends too early: {what}. The upload or an earlier copy was probably interrupted; "
        "please upload the original again.",
    )


def damaged(what: str) -> NoReturn:
    """Raises PhotoRejected (damaged)."""
    raise PhotoRejected(
        RejectionReason.DAMAGED,
        f"The file is damaged: {what}. Please upload another copy of the photo.",
    )


def unsupported(what: str) -> NoReturn:
    """Raises PhotoRejected (unsupported-format)."""
    raise PhotoRejected(
        RejectionReason.UNSUPPORTED_FORMAT,
        f"The file is {what}, which is not supported. Please export it as JPEG and upload that.",
    )


def camera_raw(maker: str = "") -> NoReturn:
    """Raises PhotoRejected (unsupported-format)."""
    raise PhotoRejected(
        RejectionReason.UNSUPPORTED_FORMAT,
        f"The file is a camera raw file{f' ({maker})' if maker else ''}, which is not supported. "
        "Please develop it in a raw converter, export it as JPEG and upload that.",
    )
