"""GIF (GIF89a specification; Netscape's looping extension).

Frames are put on the canvas here, as browsers do: what no frame has covered is transparent, and so
is what a frame leaves that is disposed of "to background".
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from PIL import Image

from services.imaging.formats.photo import Photo, plain, rejecting
from services.imaging.formats.structure import InputFormat, Size, Structure, damaged, truncated
from services.imaging.limits import WorkBudget
from services.imaging.model import SourceFormat

if TYPE_CHECKING:
    from PIL import ImageFile

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_APPLICATION, _GRAPHIC_CONTROL = 0xFF, 0xF9
_TO_BACKGROUND, _TO_PREVIOUS = 2, 3
_LOCAL_PALETTE, _INTERLACED = 0x80, 0x40
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_BYTES_PER_PIXEL = 14  # the canvas, the frame, the one before, and what is handed over


@dataclass(frozen=True)
class _Frame:
    """One frame. `data` is the range of its LZW code size and blocks in the file; `palette` is its
    own or the file's, as RGB bytes; `control` is the body of its graphic control extension."""

    left: int
    top: int
    size: Size
    is_interlaced: bool
    palette: tuple[int, int]
    control: bytes
    data: tuple[int, int]

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.left + self.size[0], self.top + self.size[1]

    @property
    def disposal(self) -> int:
        return self.control[0] >> 2 & 7

    @property
    def milliseconds(self) -> int:
        return 10 * int.from_bytes(self.control[1:3], "little")


@dataclass(frozen=True)
class GifStructure(Structure):
    """The structure of a GIF, and where its frames are."""

    parts: tuple[_Frame, ...] = ()


def sniff(source: bytes) -> bool:
    """Whether `source` starts as GIF does."""
    return source.startswith((b"GIF87a", b"GIF89a"))


def read(source: bytes, budget: WorkBudget) -> GifStructure:
    """The structure of `source`. The canvas is grown to hold every frame, as decoders do.

    A missing trailer is accepted if the last frame is complete. Raises PhotoRejected.
    """
    if len(source) < 13:
        truncated("the GIF header is cut off")
    width = int.from_bytes(source[6:8], "little")
    height = int.from_bytes(source[8:10], "little")
    position = 13 + _palette_bytes(source[10])
    file_palette = (13, position)
    frames: list[_Frame] = []
    control = bytes(4)
    plays = 1
    while True:
        budget.spend()
        if position >= len(source):
            if not frames:
                truncated("the GIF end mark is missing")
            break
        kind = source[position]
        position += 1
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            plays = _plays(source, position, plays)
            if source[position : position + 2] == bytes((_GRAPHIC_CONTROL, 4)):
                control = source[position + 2 : position + 6].ljust(4, b"\0")
            position = _skip_blocks(source, position + 1, budget)
        elif kind == _IMAGE:
            head = source[position : position + 9]
            if len(head) < 9:
                truncated("a GIF frame is cut off")
            left, top, across, down = (
                int.from_bytes(head[i : i + 2], "little") for i in range(0, 8, 2)
            )
            if not across or not down:
                damaged("a GIF frame has no width or no height")
            width, height = max(width, left + across), max(height, top + down)
            palette_end = position + 9 + _palette_bytes(head[8])
            position = _skip_blocks(source, palette_end + 1, budget)
            has_palette = bool(head[8] & _LOCAL_PALETTE)
            frames.append(
                _Frame(
                    left,
                    top,
                    (across, down),
                    bool(head[8] & _INTERLACED),
                    (palette_end - _palette_bytes(head[8]), palette_end)
                    if has_palette
                    else file_palette,
                    control,
                    (palette_end, position),
                )
            )
            control = bytes(4)
        elif kind == 0:
            continue  # a stray block end between blocks: written by some encoders, harmless
        else:
            damaged("a GIF block is not where it should be")
    if not frames:
        truncated("it has no picture data")
    return GifStructure(
        width,
        height,
        len(frames),
        position,
        plays=plays,
        bytes_per_pixel=_BYTES_PER_PIXEL,
        parts=tuple(frames),
    )


def _plays(source: bytes, position: int, plays: int) -> int:
    """How often the animation is shown by the extension at `position`, else `plays`.

    The extension counts repetitions: n of them are n + 1 plays, 0 is without end.
    """
    name, data = source[position + 2 : position + 13], source[position + 13 : position + 17]
    is_looping = source[position : position + 2] == bytes((_APPLICATION, 11)) and name in _LOOPING
    if not is_looping or len(data) < 4 or data[0] < 3 or data[1] & 7 != 1:
        return plays
    repetitions = int.from_bytes(data[2:4], "little")
    return min(repetitions + 1, 65_535) if repetitions else 0


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(source: bytes, position: int, budget: WorkBudget) -> int:
    while True:
        budget.spend()
        if position >= len(source):
            truncated("a GIF block is cut off")
        size = source[position]
        position += 1 + size
        if not size:
            return position


class GifPhoto(Photo):
    """A GIF. Each frame is decoded as a file of its own and put on the canvas."""

    @property
    def size(self) -> Size:
        """The canvas."""
        return self.structure.size

    def still(self, covering: Size) -> Image.Image:  # noqa: ARG002
        """The first frame on the canvas. Raises PhotoRejected."""
        picture, _ = next(self.frames(1))
        return picture

    def frames(self, count: int) -> Iterator[tuple[Image.Image, int]]:
        """Each frame as shown and its duration in milliseconds. Raises PhotoRejected."""
        canvas: Image.Image | None = None
        for part in cast("GifStructure", self.structure).parts[:count]:
            with rejecting():
                frame = self._decoded(part)
                before = canvas
                is_whole = part.size == self.size and frame.mode != "RGBA"
                if is_whole and count == 1:
                    shown = frame
                else:
                    if canvas is None:
                        canvas = Image.new("RGBA", self.size)
                    if part.disposal == _TO_PREVIOUS:
                        before = canvas.copy()
                    frame = frame.convert("RGBA")
                    canvas.paste(frame, part.box, frame)
                    is_opaque = is_whole or canvas.getchannel("A").getextrema() == (255, 255)
                    shown = canvas.convert("RGB") if is_opaque else canvas.copy()
            yield shown, part.milliseconds
            if canvas is not None and part.disposal == _TO_BACKGROUND:
                canvas.paste((0, 0, 0, 0), part.box)
            elif part.disposal == _TO_PREVIOUS:
                canvas = before

    def _decoded(self, part: _Frame) -> Image.Image:
        """A frame alone, as L, RGB or RGBA."""
        palette = self.pixels[slice(*part.palette)]
        flags = 0x80 | ((len(palette) // 3).bit_length() - 2) if palette else 0
        size = b"".join(edge.to_bytes(2, "little") for edge in part.size)
        file = _open(
            b"".join(
                (
                    b"GIF89a", size, bytes((flags, 0, 0)), palette,
                    b"!\xf9\x04", part.control, b"\0,\0\0\0\0", size,
                    bytes((_INTERLACED if part.is_interlaced else 0,)),
                    self.pixels[slice(*part.data)], b";",
                )
            )
        )  # fmt: skip
        file.load()
        return plain(file)


def _open(data: bytes) -> ImageFile.ImageFile:
    from PIL.GifImagePlugin import GifImageFile

    return GifImageFile(io.BytesIO(data))


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    with rejecting():
        return GifPhoto(_open(source), structure, source)


FORMAT = InputFormat(
    name=SourceFormat.GIF,
    content_types=("image/gif",),
    sniff=sniff,
    read=read,
    open=open_photo,
    is_animated=True,
)
