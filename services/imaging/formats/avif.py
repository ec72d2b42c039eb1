"""AVIF (AVIF 1.1)."""

from __future__ import annotations

import io

from services.imaging.formats import isobmff
from services.imaging.formats.avif_alpha import with_alpha_sizes
from services.imaging.formats.photo import Photo, rejecting
from services.imaging.formats.structure import InputFormat, Structure
from services.imaging.limits import WorkBudget
from services.imaging.model import SourceFormat

_BRANDS = frozenset((b"avif", b"avis"))
_BYTES_PER_PIXEL = 8


def sniff(source: bytes) -> bool:
    """Whether `source` has a brand of AVIF."""
    return not _BRANDS.isdisjoint(isobmff.brands(source))


def read(source: bytes, budget: WorkBudget) -> Structure:
    """The structure of `source`. Raises PhotoRejected."""
    return isobmff.read(source, budget, bytes_per_pixel=_BYTES_PER_PIXEL, mend=with_alpha_sizes)


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    from PIL.AvifImagePlugin import AvifImageFile

    pixels = structure.pixels or source
    with rejecting():
        return Photo(AvifImageFile(io.BytesIO(pixels)), structure, pixels)


FORMAT = InputFormat(
    name=SourceFormat.AVIF,
    content_types=("image/avif",),
    sniff=sniff,
    read=read,
    open=open_photo,
    is_animated=True,
)
