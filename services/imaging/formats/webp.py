"""WebP (RFC 9649)."""

from __future__ import annotations

import io

from services.imaging.formats.photo import Photo, rejecting
from services.imaging.formats.structure import InputFormat, Structure, damaged, truncated
from services.imaging.limits import WorkBudget
from services.imaging.model import SourceFormat

# The decoder keeps two canvases of RGBA and hands over a third; Pillow makes a picture of that.
_BYTES_PER_PIXEL, _BYTES_PER_ANIMATED_PIXEL = 14, 20


def sniff(source: bytes) -> bool:
    """Whether `source` starts as WebP does."""
    return source[:4] == b"RIFF" and source[8:12] == b"WEBP"


def read(source: bytes, budget: WorkBudget) -> Structure:
    """The structure of `source`. Raises PhotoRejected."""
    end = 8 + int.from_bytes(source[4:8], "little")
    if end > len(source):
        truncated("the WebP header announces more data than there are")
    position = 12
    size: tuple[int, int] | None = None
    frames = 0
    has_data = False
    while position + 8 <= end:
        budget.spend()
        name = source[position : position + 4]
        length = int.from_bytes(source[position + 4 : position + 8], "little")
        body = position + 8
        if body + length > end:
            truncated("a WebP chunk is cut off")
        if name == b"VP8X":
            canvas = source[body + 4 : body + 10]
            size = (
                1 + int.from_bytes(canvas[:3], "little"),
                1 + int.from_bytes(canvas[3:], "little"),
            )
        elif name == b"ANMF":
            frames += 1
        elif name in (b"VP8 ", b"VP8L"):
            has_data = True
            size = size or _bitstream_size(name, source[body : body + 10])
        position = body + length + (length & 1)
    if size is None:
        damaged("its WebP header has no size")
    if not frames and not has_data:
        truncated("it has no picture data")
    return Structure(
        *size,
        max(frames, 1),
        end,
        bytes_per_pixel=_BYTES_PER_ANIMATED_PIXEL if frames > 1 else _BYTES_PER_PIXEL,
    )


def _bitstream_size(name: bytes, head: bytes) -> tuple[int, int] | None:
    if name == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        return (
            int.from_bytes(head[6:8], "little") & 0x3FFF,
            int.from_bytes(head[8:10], "little") & 0x3FFF,
        )
    if name == b"VP8L" and head[:1] == b"\x2f":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    from PIL.WebPImagePlugin import WebPImageFile

    with rejecting():
        return Photo(WebPImageFile(io.BytesIO(source)), structure, source)


FORMAT = InputFormat(
    name=SourceFormat.WEBP,
    content_types=("image/webp",),
    sniff=sniff,
    read=read,
    open=open_photo,
    is_animated=True,
)
