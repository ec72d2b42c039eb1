"""The structure of a HEIC, HEIF or AVIF file (ISO/IEC 14496-12, ISO/IEC 23008-12, AVIF 1.1).

Checks that every box and every extent of every item lies inside the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.imaging.formats.structure import Structure, damaged, truncated

_KNOWN_AT_TOP = frozenset(
    (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"idat", b"wide", b"pdin",
     b"moof", b"mfra", b"meco", b"styp", b"sidx", b"mpvd", b"etyp")
)  # fmt: skip


def read(source: bytes) -> Structure:
    """The structure of `source`. `frames` counts the samples of the longest picture track, 1 for a
    still. Raises PhotoRejected."""
    width = height = 0
    frames = 1
    end = 0
    has_meta = has_data = False
    for name, start, stop in _boxes(source, 0, len(source), top=True):
        if name == b"meta":
            has_meta = True
            width, height = _meta(source, start + 4, stop)
        elif name == b"moov":
            frames = max(frames, _samples(source, start, stop))
        has_data = has_data or name in (b"mdat", b"idat")
        end = stop
    if not has_meta:
        truncated("it has no picture directory")
    if not width or not height:
        damaged("it has no width or no height")
    return Structure(width, height, frames, end)


def _boxes(
    source: bytes, start: int, stop: int, *, top: bool = False
) -> Iterator[tuple[bytes, int, int]]:
    """Each box as its type and the range of its body."""
    position = start
    while position + 8 <= stop:
        size = int.from_bytes(source[position : position + 4], "big")
        name = source[position + 4 : position + 8]
        body = position + 8
        if top and name not in _KNOWN_AT_TOP:
            return  # something else follows the picture: the trailer's rule decides
        if size == 1:
            size = int.from_bytes(source[body : body + 8], "big")
            body += 8
        elif size == 0:
            size = stop - position
        if size < body - position:
            damaged("a box has no valid length")
        if position + size > stop:
            truncated(f"its {name.decode('latin-1')!r} box is cut off")
        yield name, body, position + size
        position += size


def _meta(source: bytes, start: int, stop: int) -> tuple[int, int]:
    width = height = 0
    for name, body, end in _boxes(source, start, stop):
        if name == b"iloc":
            _check_extents(source, body, end)
        elif name == b"iprp":
            for inner, inner_body, inner_end in _boxes(source, body, end):
                if inner != b"ipco":
                    continue
                for prop, at, _ in _boxes(source, inner_body, inner_end):
                    if prop == b"ispe":
                        w = int.from_bytes(source[at + 4 : at + 8], "big")
                        h = int.from_bytes(source[at + 8 : at + 12], "big")
                        # The largest picture counts: tiles and thumbnails have sizes of their own.
                        if w * h > width * height:
                            width, height = w, h
    return width, height


def _check_extents(source: bytes, position: int, stop: int) -> None:
    cursor = _Cursor(source, position, stop)
    version = cursor.take(1)
    cursor.take(3)
    sizes = cursor.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    id_size = 4 if version == 2 else 2
    for _ in range(cursor.take(id_size)):
        cursor.take(id_size)
        in_file = cursor.take(2) & 15 == 0 if version in (1, 2) else True
        external = cursor.take(2) != 0
        base = cursor.take(base_size)
        for _ in range(cursor.take(2)):
            cursor.take(index_size)
            offset, length = base + cursor.take(offset_size), cursor.take(length_size)
            if in_file and not external and offset + length > len(source):
                truncated("picture data lie behind the end of the file")


class _Cursor:
    def __init__(self, source: bytes, position: int, stop: int) -> None:
        self._source, self._position, self._stop = source, position, stop

    def take(self, size: int) -> int:
        if self._position + size > self._stop:
            damaged("its picture directory is too short")
        value = int.from_bytes(self._source[self._position : self._position + size], "big")
        self._position += size
        return value


def _samples(source: bytes, start: int, stop: int) -> int:
    most = 0
    for name, body, end in _boxes(source, start, stop):
        if name in (b"trak", b"mdia", b"minf", b"stbl"):
            most = max(most, _samples(source, body, end))
        elif name == b"stsz":
            most = max(most, int.from_bytes(source[body + 8 : body + 12], "big"))
    return most
