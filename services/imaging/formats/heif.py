"""HEIC and HEIF (ISO/IEC 23008-12). Of a sequence or a burst, the primary picture counts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from services.imaging.formats import isobmff
from services.imaging.formats.photo import Photo, rejecting
from services.imaging.formats.structure import InputFormat, Structure
from services.imaging.limits import WorkBudget
from services.imaging.model import SourceFormat

if TYPE_CHECKING:
    from PIL import ImageFile

_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_BYTES_PER_PIXEL = 10


def sniff(source: bytes) -> bool:
    """Whether `source` has a brand of HEIF. `mif1` alone does not say which codec."""
    return not _BRANDS.isdisjoint(isobmff.brands(source))


def read(source: bytes, budget: WorkBudget) -> Structure:
    """The structure of `source`. Raises PhotoRejected."""
    return isobmff.read(source, budget, bytes_per_pixel=_BYTES_PER_PIXEL)


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    from pillow_heif.as_plugin import HeifImageFile

    pixels = structure.pixels or source
    with rejecting():
        file = HeifImageFile(io.BytesIO(pixels))  # type: ignore[no-untyped-call]
        return Photo(cast("ImageFile.ImageFile", file), structure, pixels)


FORMAT = InputFormat(
    name=SourceFormat.HEIF,
    content_types=("image/heic", "image/heif"),
    sniff=sniff,
    read=read,
    open=open_photo,
    orientation_applied=True,
)
