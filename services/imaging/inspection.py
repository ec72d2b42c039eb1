"""The first steps of everything that decodes a photo: recognize, check and open it.

No pixel is decoded before the photo is known to be within its limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from services.imaging import coded_colour, metadata
from services.imaging.formats import registry, trailer
from services.imaging.formats.photo import Photo
from services.imaging.formats.structure import InputFormat, Size, Structure
from services.imaging.limits import (
    Deadline,
    WorkBudget,
    check_bytes,
    check_decoded_pixels,
    check_frames,
    check_memory,
    check_pixels,
)
from services.imaging.metadata import Metadata
from services.imaging.model import Limits, SourceFormat
from services.imaging.orient import upright_size

# Interpreter and libraries, before a photo is decoded (benchmarks/memory).
_BASE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class OpenedPhoto:
    """A photo within its limits, ready to be decoded.

    `orientation` (1..8) is what is still to be applied to the decoder's picture, `size` is the
    whole picture's as it is meant to be seen, `icc` the profile of its colours.
    """

    source: bytes
    format: InputFormat
    structure: Structure
    photo: Photo
    metadata: Metadata
    orientation: int
    size: Size
    icc: bytes | None

    @property
    def is_animation(self) -> bool:
        """Whether its frames are an animation."""
        return self.format.is_animated and self.structure.frames > 1

    def decode(self, covering: Size, limits: Limits) -> Image.Image:
        """The picture, or the first frame, at least at `covering` (before orientation) or at its
        own size. Raises PhotoRejected."""
        needed = _BASE_BYTES + len(self.source) + self.photo.memory_bytes(covering)
        check_memory(needed, *self.structure.size, limits)
        picture = self.photo.still(covering)
        check_pixels(*picture.size, limits)
        return picture


def open_photo(source: bytes, limits: Limits, deadline: Deadline) -> OpenedPhoto:
    """Recognizes, checks and opens the photo in `source`. Raises PhotoRejected."""
    deadline.check()
    check_bytes(len(source), limits)
    input_format = registry.sniff(source)
    structure = input_format.read(source, WorkBudget(len(source)))
    check_pixels(*structure.size, limits)
    check_frames(*structure.size, structure.frames, limits)
    check_decoded_pixels(structure.decoded_pixels, limits)
    trailer.check(source, structure.end, end_is_known=structure.end_is_known)
    deadline.check()
    photo = input_format.open(source, structure)
    # The decoder may read another size than the structure reader.
    check_pixels(*photo.size, limits)
    check_frames(*photo.size, structure.frames, limits)
    read = _read_metadata(source, input_format, structure, photo)
    orientation = 1 if input_format.orientation_applied else read.orientation
    icc = structure.icc or photo.icc
    if icc is None and read.is_adobe_rgb and input_format.adobe_rgb_by_exif:
        icc = coded_colour.adobe_rgb()
    return OpenedPhoto(
        source=source,
        format=input_format,
        structure=structure,
        photo=photo,
        metadata=read,
        orientation=orientation,
        size=upright_size(photo.size, orientation),
        icc=icc,
    )


def _read_metadata(
    source: bytes, input_format: InputFormat, structure: Structure, photo: Photo
) -> Metadata:
    # A TIFF file is what EXIF is made of.
    is_tiff = input_format.name is SourceFormat.TIFF
    exif = source if is_tiff else structure.exif or photo.exif
    return metadata.read(exif, structure.xmp or photo.xmp, structure.irb)
