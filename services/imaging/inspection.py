"""Takes a photo in: recognised, inspected and opened within its limits, before a pixel is decoded.

What everything that decodes a photo does first, in this order.
"""

from __future__ import annotations

from services.imaging import formats, metadata
from services.imaging.formats import trailer
from services.imaging.formats.decode import Photo, open_photo
from services.imaging.formats.structure import Structure
from services.imaging.limits import check_frames, check_pixels
from services.imaging.metadata import Metadata
from services.imaging.model import Limits, SourceFormat
from services.imaging.orient import upright_size

# libheif and Pillow's TIFF plugin turn pictures upright themselves.
_UPRIGHT_ALREADY = frozenset((SourceFormat.HEIF, SourceFormat.TIFF))


def inspect(source: bytes, source_format: SourceFormat, limits: Limits) -> Structure:
    """The outer structure of `source`, held against `limits`. Raises PhotoRejected."""
    found = formats.read(source, source_format)
    check_pixels(found.width, found.height, limits)
    check_frames(found.width, found.height, found.frames, limits)
    trailer.check(source, found.end)
    return found


def open_within(
    source: bytes, source_format: SourceFormat, found: Structure, limits: Limits
) -> Photo:
    """The opened photo, no pixel decoded. Raises PhotoRejected."""
    photo = open_photo(source, source_format, found)
    # What the decoder read counts, should it differ from what we read.
    check_pixels(*photo.size, limits)
    check_frames(*photo.size, found.frames, limits)
    return photo


def read_metadata(
    source: bytes, source_format: SourceFormat, found: Structure, photo: Photo
) -> Metadata:
    """The metadata of an opened photo."""
    return metadata.read(source if source_format is SourceFormat.TIFF else found.exif or photo.exif)


def orientation_left(source_format: SourceFormat, read: Metadata) -> int:
    """The EXIF orientation (1..8) that is still to be applied to what the decoder gives."""
    return 1 if source_format in _UPRIGHT_ALREADY else read.orientation


def decoder_size(source_format: SourceFormat, found: Structure, photo: Photo) -> tuple[int, int]:
    """Width and height of the whole picture as the decoder gives it, before orientation."""
    # A JPEG may be decoded smaller than it is; the others are as large as their decoder says.
    return (found.width, found.height) if source_format is SourceFormat.JPEG else photo.size


def seen_size(
    source_format: SourceFormat, found: Structure, photo: Photo, orientation: int
) -> tuple[int, int]:
    """Width and height of the whole picture as it is meant to be seen."""
    return upright_size(decoder_size(source_format, found, photo), orientation)
