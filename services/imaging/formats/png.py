"""The structure of a PNG or APNG file (ISO/IEC 15948; APNG 1.0). Checks every chunk's CRC."""

from __future__ import annotations

import zlib

from services.imaging.formats.structure import Structure, damaged, truncated

_SIGNATURE_BYTES = 8
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: left, top, step across, step down of each pass (ISO/IEC 15948 8.2).
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
_UNPACKED_BYTES_AT_ONCE = 1 << 20


def read(source: bytes) -> Structure:
    """The structure of `source`. Raises PhotoRejected."""
    view = memoryview(source)
    position = _SIGNATURE_BYTES
    width = height = 0
    frames = 1
    controls = 0
    has_data = False
    while True:
        if position + 12 > len(source):
            truncated("the PNG end mark is missing")
        length = int.from_bytes(view[position : position + 4], "big")
        name = bytes(view[position + 4 : position + 8])
        end = position + 12 + length
        if end > len(source):
            truncated("a PNG chunk is cut off")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            damaged("a PNG checksum does not match")
        body = view[position + 8 : end - 4]
        if (name == b"IHDR") != (position == _SIGNATURE_BYTES):
            damaged("its PNG header is not where it should be")
        if name == b"IHDR":
            if length != 13:
                damaged("its PNG header has the wrong length")
            width = int.from_bytes(body[:4], "big")
            height = int.from_bytes(body[4:8], "big")
            if not width or not height:
                damaged("it has no width or no height")
        elif name == b"acTL" and length == 8 and not has_data:
            frames = int.from_bytes(body[:4], "big")
        elif name == b"fcTL":
            controls += 1
        elif name == b"IDAT":
            has_data = True
        elif name == b"IEND":
            position = end
            break
        position = end
    if not has_data:
        truncated("it has no picture data")
    if not frames or (controls and frames > controls) or (frames > 1 and not controls):
        truncated("frames of the animation are missing")
    return Structure(width, height, frames, position)


def is_complete(source: bytes) -> bool:
    """Whether the picture data unpack to as many bytes as width, height and depth ask for.

    `source` has a structure that `read` has passed. May raise zlib.error.
    """
    view = memoryview(source)
    width, height = (int.from_bytes(view[i : i + 4], "big") for i in (16, 20))
    depth, kind, interlaced = view[24], view[25], view[28]
    bits = depth * _CHANNELS.get(kind, 0)
    needed = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            needed += rows * (1 + -(-columns * bits // 8))
    unpacker = zlib.decompressobj()
    unpacked = 0
    position = _SIGNATURE_BYTES
    while position + 12 <= len(source) and unpacked < needed:
        length = int.from_bytes(view[position : position + 4], "big")
        if source[position + 4 : position + 8] == b"IDAT":
            waiting: bytes | memoryview = view[position + 8 : position + 8 + length]
            while waiting and unpacked < needed and not unpacker.eof:
                unpacked += len(unpacker.decompress(waiting, _UNPACKED_BYTES_AT_ONCE))
                waiting = unpacker.unconsumed_tail
        position += 12 + length
    return unpacked + len(unpacker.flush()) >= needed
