"""Reads a file's outer structure without decoding a pixel: sizes, frames, completeness, its end.

Decoders forgive much: libjpeg paints what is missing grey, PNG checksums go unchecked. What a photo
must have is therefore checked here, before any decoder sees it.
"""

from __future__ import annotations

from services.imaging.formats import gif, isobmff, jpeg, png, tiff, webp
from services.imaging.formats.structure import Structure
from services.imaging.model import SourceFormat


def read(source: bytes, source_format: SourceFormat) -> Structure:
    """The structure of `source`, whose signature says `source_format`. Raises PhotoRejected."""
    match source_format:
        case SourceFormat.JPEG:
            return jpeg.read(source)
        case SourceFormat.PNG:
            return png.read(source)
        case SourceFormat.WEBP:
            return webp.read(source)
        case SourceFormat.GIF:
            return gif.read(source)
        case SourceFormat.TIFF:
            return tiff.read(source)
        case SourceFormat.HEIF | SourceFormat.AVIF:
            return isobmff.read(source)
