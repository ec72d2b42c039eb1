"""The structure of a WebP file (RFC 9649)."""

from __future__ import annotations

from services.imaging.formats.structure import Structure, damaged, truncated


def read(source: bytes) -> Structure:
    """The structure of `source`. Raises PhotoRejected."""
    end = 8 + int.from_bytes(source[4:8], "little")
    if end > len(source):
        truncated("the WebP header promises more data than there are")
    position = 12
    size: tuple[int, int] | None = None
    frames = 0
    has_data = False
    while position + 8 <= end:
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
    return Structure(*size, max(frames, 1), end)


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
