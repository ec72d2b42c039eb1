"""GIF (GIF89a specification; Netscape's looping extension)."""

from __future__ import annotations

import io

from services.imaging.formats.photo import Photo, rejecting
from services.imaging.formats.structure import InputFormat, Structure, damaged, truncated
from services.imaging.limits import WorkBudget
from services.imaging.model import SourceFormat

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_APPLICATION = 0xFF
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_BYTES_PER_PIXEL = 12  # the canvas, the frame, the one before, and what is handed over


def sniff(source: bytes) -> bool:
    """Whether `source` starts as GIF does."""
    return source.startswith((b"GIF87a", b"GIF89a"))


def read(source: bytes, budget: WorkBudget) -> Structure:
    """The structure of `source`. The canvas is grown to hold every frame, as decoders do.

    A missing trailer is accepted if the last frame is complete. Raises PhotoRejected.
    """
    if len(source) < 13:
        truncated("the GIF header is cut off")
    width = int.from_bytes(source[6:8], "little")
    height = int.from_bytes(source[8:10], "little")
    position = 13 + _palette_bytes(source[10])
    frames = 0
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
            frames += 1
            position = _skip_blocks(source, position + 10 + _palette_bytes(head[8]), budget)
        elif kind == 0:
            continue  # a stray block end between blocks: written by some encoders, harmless
        else:
            damaged("a GIF block is not where it should be")
    if not frames:
        truncated("it has no picture data")
    return Structure(width, height, frames, position, plays=plays, bytes_per_pixel=_BYTES_PER_PIXEL)


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


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    from PIL.GifImagePlugin import GifImageFile

    with rejecting():
        return Photo(GifImageFile(io.BytesIO(source)), structure, source)


FORMAT = InputFormat(
    name=SourceFormat.GIF,
    content_types=("image/gif",),
    sniff=sniff,
    read=read,
    open=open_photo,
    is_animated=True,
)
