"""The structure of a GIF file (GIF89a specification). Walks every block to the trailer."""

from __future__ import annotations

from services.imaging.formats.structure import Structure, damaged, truncated

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def read(source: bytes) -> Structure:
    """The structure of `source`. The canvas is grown to hold every frame, as decoders do.

    Raises PhotoRejected.
    """
    if len(source) < 13:
        truncated("the GIF header is cut off")
    width = int.from_bytes(source[6:8], "little")
    height = int.from_bytes(source[8:10], "little")
    position = 13 + _palette_bytes(source[10])
    frames = 0
    while True:
        kind = source[position] if position < len(source) else None
        if kind is None:
            truncated("the GIF end mark is missing")
        position += 1
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            position = _skip_blocks(source, position + 1)
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
            position = _skip_blocks(source, position + 10 + _palette_bytes(head[8]))
        elif kind == 0:
            continue  # a stray block end between blocks: written by some encoders, harmless
        else:
            damaged("a GIF block is not where it should be")
    if not frames:
        truncated("it has no picture data")
    return Structure(width, height, frames, position)


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(source: bytes, position: int) -> int:
    while True:
        if position >= len(source):
            truncated("a GIF block is cut off")
        size = source[position]
        position += 1 + size
        if not size:
            return position
