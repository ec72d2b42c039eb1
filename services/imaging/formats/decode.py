"""Opens a photo with the one decoder that its format needs, and gives its frames.

The only place where decoders see bytes from outside, so the only place where their exceptions
become rejections. Pillow's plugins are used one by one: the format is already known from the
bytes, so no other parser ever runs, none is imported, and no process-wide switch is touched.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from PIL import Image

from services.imaging.formats import png
from services.imaging.formats.jpeg import with_more_entropy
from services.imaging.formats.structure import Structure, damaged, truncated
from services.imaging.model import PhotoRejected, RejectionReason, SourceFormat

if TYPE_CHECKING:
    from PIL import ImageFile

# What Pillow's and libheif's decoders raise for bad data. TypeError, AttributeError and the like
# are not among them: those are mistakes of ours and must be seen as such.
_DECODER_ERRORS = (
    OSError,  # Pillow: truncated, broken data stream; libtiff
    SyntaxError,  # Pillow: not what the header said (its plugins wrap IndexError, KeyError so)
    ValueError,  # Pillow, pillow-heif
    EOFError,  # Pillow, pillow-heif: fewer frames than announced
    RuntimeError,  # pillow-heif: libheif's errors
    struct.error,  # Pillow: headers that are cut off
    zlib.error,  # Pillow: PNG streams
    IndexError,  # Pillow: GIF and PNG frames after the first
    Image.DecompressionBombError,  # Pillow's own limit, above ours
)
_MID_GREYS = ((128, 128, 128), 128, (127, 127, 127, 127), (128, 128, 128, 128))


@contextmanager
def _rejecting() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which are not used
        try:
            yield
        except _DECODER_ERRORS as error:
            if "truncated" in str(error) or isinstance(error, EOFError):
                truncated("the picture data break off")
            raise PhotoRejected(
                RejectionReason.DAMAGED,
                "The file is damaged: its picture data cannot be decoded. "
                "Please upload another copy of the photo.",
            ) from error


class Photo:
    """An opened photo. Frames come one at a time, in order, and only one is held."""

    def __init__(self, file: ImageFile.ImageFile, source_format: SourceFormat, pixels: bytes):
        self._file = file
        self._format = source_format
        self._pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as the decoder sees them, before orientation."""
        return self._file.size

    @property
    def icc(self) -> bytes | None:
        """The embedded ICC profile."""
        return cast("bytes | None", self._file.info.get("icc_profile"))

    @property
    def exif(self) -> bytes | None:
        """The embedded EXIF, as a TIFF structure."""
        found = self._file.info.get("exif")
        return found if isinstance(found, bytes) else None

    @property
    def loops(self) -> int:
        """How often an animation is to be shown; 0 is for ever."""
        loop = self._file.info.get("loop", 0 if self._format is not SourceFormat.GIF else 1)
        return loop if isinstance(loop, int) and 0 <= loop <= 65_535 else 0

    def still(self, covering: tuple[int, int]) -> Image.Image:
        """The picture, or the first frame, decoded no larger than needed to be at least `covering`.

        Only JPEG can decode smaller: in the DCT, to 1/2, 1/4 or 1/8. Raises PhotoRejected.
        """
        with _rejecting():
            image = self._file
            if self._format is SourceFormat.JPEG:
                image.draft(None, covering)
            elif self._shows_default_image():
                image.seek(1)
            image.load()
            if self._format is SourceFormat.JPEG:
                _check_not_run_dry(image, self._pixels, covering)
            elif self._format is SourceFormat.PNG and not self._shows_default_image():
                _check_all_rows(image, self._pixels)
            return _plain(image)

    def frames(self, count: int) -> Iterator[tuple[Image.Image, int]]:
        """Each frame as shown (disposal and blending done) and its duration in milliseconds.

        Raises PhotoRejected.
        """
        first = 1 if self._shows_default_image() else 0
        for index in range(first, first + count):
            with _rejecting():
                self._file.seek(index)
                self._file.load()
                duration = self._file.info.get("duration", 0)
                frame = _plain(self._file)
            yield frame, int(duration) if isinstance(duration, int | float) else 0

    def _shows_default_image(self) -> bool:
        # APNG: a picture for programs that cannot animate, and no part of the animation.
        return bool(getattr(self._file, "default_image", False)) and (
            getattr(self._file, "n_frames", 1) > 1
        )


def open_photo(source: bytes, source_format: SourceFormat, structure: Structure) -> Photo:
    """Opens `source` without decoding pixels. Raises PhotoRejected."""
    pixels = structure.pixels or source
    with _rejecting():
        return Photo(_open(pixels, source_format), source_format, pixels)


def _open(pixels: bytes, source_format: SourceFormat) -> ImageFile.ImageFile:
    stream = io.BytesIO(pixels)
    match source_format:
        case SourceFormat.JPEG:
            from PIL.JpegImagePlugin import JpegImageFile

            return JpegImageFile(stream)
        case SourceFormat.PNG:
            from PIL.PngImagePlugin import PngImageFile

            return PngImageFile(stream)
        case SourceFormat.WEBP:
            from PIL.WebPImagePlugin import WebPImageFile

            return WebPImageFile(stream)
        case SourceFormat.GIF:
            from PIL.GifImagePlugin import GifImageFile

            return GifImageFile(stream)
        case SourceFormat.TIFF:
            from PIL.TiffImagePlugin import TiffImageFile

            return TiffImageFile(stream)
        case SourceFormat.HEIF:
            from pillow_heif.as_plugin import HeifImageFile

            return cast("ImageFile.ImageFile", HeifImageFile(stream))  # type: ignore[no-untyped-call]
        case SourceFormat.AVIF:
            from PIL.AvifImagePlugin import AvifImageFile

            return AvifImageFile(stream)


def _check_not_run_dry(image: Image.Image, pixels: bytes, covering: tuple[int, int]) -> None:
    """libjpeg paints what it has no data for in mid-grey (all coefficients zero) and says nothing.

    Such a picture ends in mid-grey. A photo may, too: then it is decoded once more with bits to
    spare, which changes the picture only if some of it was painted. What is not found out is a
    progressive JPEG whose very last scan is cut short and ended properly: it lacks the finest
    detail in part of the picture, and nothing is grey.
    """
    if image.getpixel((image.width - 1, image.height - 1)) not in _MID_GREYS:
        return
    from PIL import ImageChops
    from PIL.JpegImagePlugin import JpegImageFile

    again = JpegImageFile(io.BytesIO(with_more_entropy(pixels)))
    again.draft(None, covering)
    again.load()
    if ImageChops.difference(image, again).getbbox() is not None:
        truncated("the picture data end before the picture does")


def _check_all_rows(image: Image.Image, source: bytes) -> None:
    """Pillow leaves rows of a PNG black or empty for which the compressed data hold nothing.

    Such a picture ends in zeros. One that does is unpacked once more, to count.
    """
    right, bottom = image.width - 1, image.height - 1
    # Two rows, as an interlaced PNG sends every other row last.
    ends = (image.getpixel((right, row)) for row in (bottom, max(0, bottom - 1)))
    if any(_is_zero(pixel) for pixel in ends) and not png.is_complete(source):
        truncated("the picture data end before the picture does")


def _is_zero(pixel: object) -> bool:
    return not any(pixel) if isinstance(pixel, tuple) else pixel == 0


def _plain(image: Image.Image) -> Image.Image:
    """`image` with 8 bits a channel, as L, RGB, RGBA, CMYK or LAB. Raises PhotoRejected."""
    match image.mode:
        case "L" | "RGB" | "CMYK" | "P" | "1" if image.has_transparency_data:
            return _with_alpha(image)
        case "P" | "1":
            return image.convert("L" if image.mode == "1" else "RGB")
        case "L" | "RGB" | "CMYK" | "LAB" | "RGBA":
            return image.copy() if image.readonly else image
        case "YCbCr" | "HSV" | "RGBX":
            return image.convert("RGB")
        case "LA" | "La" | "PA" | "RGBa":
            return image.convert("RGBA")
        case "I;16" | "I;16L" | "I;16B" | "I;16N":
            # The high byte. Pillow's own conversion clips everything above 255 to white.
            rawmode = "L;16B" if image.mode == "I;16B" else "L;16"
            if image.has_transparency_data:
                damaged("its transparency does not fit its kind of picture")
            return Image.frombytes("L", image.size, image.tobytes(), "raw", rawmode)
        case _:
            raise PhotoRejected(
                RejectionReason.UNSUPPORTED_FORMAT,
                f"The picture stores its pixels in a way that is not for photos ({image.mode}). "
                "Please export it with 8 or 16 bits a channel and upload that.",
            )


def _with_alpha(image: Image.Image) -> Image.Image:
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # The key of a 16-bit PNG, whose pixels Pillow has cut to their high byte.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image.convert("RGBA")
