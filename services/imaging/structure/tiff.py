"""The structure of a TIFF file (TIFF 6.0; BigTIFF). Checks that every strip and tile is there."""

from __future__ import annotations

from services.imaging.structure.common import Structure, damaged, truncated

_WIDTH, _LENGTH = 256, 257
_OFFSETS = {
    273: 279,
    324: 325,
}  # strips and tiles: offsets by tag, and the tag of their byte counts
_TYPE_BYTES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8}
_PAGES_MAX = 10_000  # a chain of directories longer than this is a loop or an attack


def read(source: bytes) -> Structure:
    """The structure of `source`: the size of its first page, its pages as frames.

    Raises PhotoRejected.
    """
    order = "little" if source[:2] == b"II" else "big"
    reader = _Reader(source, order == "little", big=source[2:4] in (b"+\0", b"\0+"))
    offset = reader.number(8, 8) if reader.big else reader.number(4, 4)
    first: dict[int, list[int]] | None = None
    pages = 0
    seen: set[int] = set()
    while offset and offset not in seen and pages < _PAGES_MAX:
        seen.add(offset)
        tags, offset = reader.directory(offset)
        first = first or tags
        pages += 1
    if first is None:
        truncated("it has no picture directory")
    width, height = first.get(_WIDTH, [0])[0], first.get(_LENGTH, [0])[0]
    if not width or not height:
        damaged("it has no width or no height")
    end = 0
    for offsets_tag, counts_tag in _OFFSETS.items():
        offsets, counts = first.get(offsets_tag, []), first.get(counts_tag, [])
        if offsets and len(counts) < len(offsets) and len(offsets) > 1:
            damaged("its TIFF directory does not say where the picture data are")
        end = max([end, *(o + c for o, c in zip(offsets, counts, strict=False))])
    if not end:
        damaged("its TIFF directory does not say where the picture data are")
    if end > len(source):
        truncated("picture data lie behind the end of the file")
    # Directories and data come in any order: the end of a TIFF cannot be told, so it is the file's.
    return Structure(width, height, 1, len(source))


class _Reader:
    def __init__(self, source: bytes, little: bool, *, big: bool) -> None:
        self._source = source
        self._little = little
        self.big = big

    def number(self, offset: int, size: int) -> int:
        part = self._source[offset : offset + size]
        if len(part) < size:
            truncated("a TIFF directory is cut off")
        return int.from_bytes(part, "little" if self._little else "big")

    def directory(self, offset: int) -> tuple[dict[int, list[int]], int]:
        """The whole numbers that matter here, by tag, and the offset of the next directory."""
        head, entry, pointer = (8, 20, 8) if self.big else (2, 12, 4)
        count = self.number(offset, head)
        if count > 4096:
            damaged("a TIFF directory has too many entries")
        tags: dict[int, list[int]] = {}
        for i in range(count):
            at = offset + head + i * entry
            tag, kind = self.number(at, 2), self.number(at + 2, 2)
            values = self.number(at + 4, pointer)
            size = _TYPE_BYTES.get(kind)
            if size is None or tag not in _WANTED:
                continue
            where = at + 4 + pointer
            if size * values > pointer:
                where = self.number(where, pointer)
            if where + size * values > len(self._source):
                truncated("a TIFF directory points behind the end of the file")
            tags[tag] = [self.number(where + n * size, size) for n in range(values)]
        return tags, self.number(offset + head + count * entry, pointer)


_WANTED = {_WIDTH, _LENGTH, *_OFFSETS, *_OFFSETS.values()}
