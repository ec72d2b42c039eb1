"""The base of every decoder: opens a photo with the one library that its format needs.

Pillow's plugins are used one by one: the format is already known from the bytes, so no other
parser runs, none is imported, and no process-wide switch is touched. Decoders' exceptions become
rejections here and nowhere else.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from PIL import Image

from services.imaging.formats.structure import Size, Structure, truncated
from services.imaging.model import PhotoRejected, RejectionReason

if TYPE_CHECKING:
    from PIL import ImageFile

# What Pillow's and libheif's decoders raise for bad data. TypeError, AttributeError and the like
# are not among them: those are errors of the project and must be visible as such.
_DECODER_ERRORS = (
    OSError,  # Pillow: truncated, broken data stream; libtiff
    SyntaxError,  # Pillow: not what the header says (its plugins wrap IndexError, KeyError so)
    ValueError,  # Pillow, pillow-heif
    EOFError,  # Pillow, pillow-heif: fewer frames than announced
    RuntimeError,  # pillow-heif: libheif's errors
    ArithmeticError,  # Pillow: an AVIF sequence with timescale 0
    struct.error,  # Pillow: headers that are cut off
    zlib.error,  # Pillow: PNG streams
    IndexError,  # Pillow: GIF and PNG frames after the first
    Image.DecompressionBombError,  # Pillow's own limit, above ours
)


@contextmanager
def rejecting() -> Iterator[None]:
    """Turns a decoder's exceptions into PhotoRejected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which are not used
        try:
            yield
        except MemoryError as error:
            raise PhotoRejected(
                RejectionReason.TOO_MUCH_MEMORY,
                "Decoding this picture takes more memory than there is. Please upload it smaller.",
            ) from error
        except _DECODER_ERRORS as error:
            if "truncated" in str(error) or isinstance(error, EOFError):
                truncated("the picture data are incomplete")
            raise PhotoRejected(
                RejectionReason.DAMAGED,
                "The file is damaged: its picture data cannot be decoded. "
                "Please upload another copy of the photo.",
            ) from error


class Photo:
    """An opened photo. Frames come one at a time, in order; only one is in memory.

    A format's module subclasses it where its decoder needs more than `load`.
    """

    def __init__(self, file: ImageFile.ImageFile, structure: Structure, pixels: bytes):
        self.file = file
        self.structure = structure
        self.pixels = pixels

    @property
    def size(self) -> Size:
        """Width and height of the whole picture as the decoder sees it, before orientation."""
        return self.file.size

    @property
    def icc(self) -> bytes | None:
        """The embedded ICC profile."""
        return cast("bytes | None", self.file.info.get("icc_profile"))

    @property
    def exif(self) -> bytes | None:
        """The embedded EXIF, as a TIFF structure."""
        found = self.file.info.get("exif")
        return found if isinstance(found, bytes) else None

    @property
    def xmp(self) -> bytes | None:
        """The embedded XMP packet."""
        found = self.file.info.get("xmp")
        return found if isinstance(found, bytes) else None

    @property
    def plays(self) -> int:
        """How often an animation is to be shown; 0 is without end."""
        plays = self.structure.plays
        if plays is None:
            plays = self.file.info.get("loop", 0)
        return plays if isinstance(plays, int) and 0 <= plays <= 65_535 else 0

    def memory_bytes(self, covering: Size) -> int:
        """An estimate of the decoder's peak for `still`, without the file itself."""
        width, height = self.decoded_size(covering)
        return self.structure.fixed_bytes + width * height * self.structure.bytes_per_pixel

    def decoded_size(self, covering: Size) -> Size:  # noqa: ARG002
        """The size of what `still` gives for `covering`."""
        return self.size

    def still(self, covering: Size) -> Image.Image:
        """The picture, or the first frame, at its own size or, where the decoder can scale down,
        at least at `covering`. Raises PhotoRejected."""
        with rejecting():
            self._load(covering)
            return self._plain()

    def release(self) -> None:
        """Frees the decoded picture. Nothing but `plays` can be used afterwards."""
        self.file.close()

    def frames(self, count: int) -> Iterator[tuple[Image.Image, int]]:
        """Each frame as shown (disposal and blending done) and its duration in milliseconds.

        Raises PhotoRejected.
        """
        first = self._first_frame()
        for index in range(first, first + count):
            with rejecting():
                self.file.seek(index)
                self.file.load()
                duration = self.file.info.get("duration", 0)
                frame = self._plain()
            yield frame, int(duration) if isinstance(duration, int | float) else 0

    def _first_frame(self) -> int:
        return 0

    def _load(self, covering: Size) -> None:  # noqa: ARG002
        """Decodes the picture into `file`, and checks that all of it was there."""
        self.file.load()

    def _plain(self) -> Image.Image:
        return plain(self.file)


def plain(image: Image.Image) -> Image.Image:
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
        case "La":
            return image.convert("LA").convert("RGBA")
        case "LA" | "PA" | "RGBa":
            return image.convert("RGBA")
        case "I;16" | "I;16L" | "I;16B" | "I;16N":
            return _from_16_bits(image)
        case _:
            raise PhotoRejected(
                RejectionReason.UNSUPPORTED_FORMAT,
                f"The picture stores its pixels in a way that is not for photos ({image.mode}). "
                "Please export it with 8 or 16 bits a channel and upload that.",
            )


def _from_16_bits(image: Image.Image) -> Image.Image:
    # The high byte. Pillow's own conversion clips everything above 255 to white.
    big_endian = image.mode == "I;16B"
    data = image.tobytes()
    grey = Image.frombytes("L", image.size, data, "raw", "L;16B" if big_endian else "L;16")
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    # The key has 16 bits: only a pixel whose two bytes match is transparent.
    other = Image.frombytes("L", image.size, data, "raw", "L;16" if big_endian else "L;16B")
    from PIL import ImageChops

    high = grey.point([0 if value == key >> 8 else 255 for value in range(256)])
    low = other.point([0 if value == key & 255 else 255 for value in range(256)])
    return Image.merge("RGBA", (grey, grey, grey, ImageChops.lighter(high, low)))


def _with_alpha(image: Image.Image) -> Image.Image:
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # The key of a 16-bit PNG, whose pixels Pillow has cut to their high byte.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    return image.convert("RGBA")
