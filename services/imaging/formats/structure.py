"""What every format's structure has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from services.imaging.model import PhotoRejected, RejectionReason


@dataclass(frozen=True)
class Structure:
    """A file's outer structure. `width` and `height` are as stored, before orientation.

    `end` is the offset of the first byte behind the picture. `exif` is a TIFF structure (EXIF 3.0
    4.5.2), `icc` an ICC profile; either is None where the file has none or the decoder reads it.
    `pixels` is what the decoder is given where that is less than the whole file.
    """

    width: int
    height: int
    frames: int
    end: int
    exif: bytes | None = None
    icc: bytes | None = None
    pixels: bytes | None = None


def truncated(what: str) -> NoReturn:
    """Raises PhotoRejected (truncated)."""
    raise PhotoRejected(
        RejectionReason.TRUNCATED,
        f"The file ends too early: {what}. The upload or a copy before it probably broke off; "
        "please upload the original again.",
    )


def damaged(what: str) -> NoReturn:
    """Raises PhotoRejected (damaged)."""
    raise PhotoRejected(
        RejectionReason.DAMAGED,
        f"The file is damaged: {what}. Please upload another copy of the photo.",
    )
