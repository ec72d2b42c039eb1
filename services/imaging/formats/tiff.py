"""The structure of a TIFF file (TIFF 6.0; BigTIFF). Checks that every strip and tile is there."""

from __future__ import annotations

from services.imaging.formats.structure import Structure, damaged, truncated

_WIDTH, _LENGTH = 256, 257
# Strips and tiles: the tag of their offsets, and that of their byte counts.
_DATA = {273: 279, 324: 325}
_SUB_DIRECTORIES = (330, 34665, 34853)  # further pictures, EXIF, GPS
_WANTED = frozenset((_WIDTH, _LENGTH, *_DATA, *_DATA.values(), *_SUB_DIRECTORIES))
_TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_WHOLE_NUMBERS = frozenset((1, 3, 4, 13, 16, 18))
_ENTRIES_MAX = 4_096
_DIRECTORIES_MAX = 1_000
_VALUES_MAX = 1_000_000  # over all directories: more strips than any picture within limits has


def read(source: bytes) -> Structure:
    """The structure of `source`: the size of its first page, which is the one that is developed.

    Raises PhotoRejected.
    """
    reader = _Reader(source)
    first, *others = reader.directories()
    width, height = ((first.get(tag) or [0])[0] for tag in (_WIDTH, _LENGTH))
    if not width or not height:
        damaged("it has no width or no height")
    needed = _data_end(first)
    if not needed:
        damaged("its TIFF directory does not say where the picture data are")
    if needed > len(source):
        truncated("picture data lie behind the end of the file")
    end = max([reader.end, needed, *map(_data_end, others)])
    return Structure(width, height, 1, min(end, len(source)))


def _data_end(tags: dict[int, list[int]]) -> int:
    end = 0
    for offsets_tag, counts_tag in _DATA.items():
        offsets, counts = tags.get(offsets_tag, []), tags.get(counts_tag, [])
        if len(counts) < len(offsets):
            damaged("its TIFF directory does not say where the picture data are")
        end = max([end, *(o + c for o, c in zip(offsets, counts, strict=False))])
    return end


class _Reader:
    """Walks the directories. `end` is where the last byte lies that one of them points at."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._little = source[:2] == b"II"
        self._big = 43 in source[2:4]
        self.end = 0
        self._values = 0

    def directories(self) -> list[dict[int, list[int]]]:
        """Every directory's whole numbers that matter here, by tag: the first page's, then the
        rest in any order. At least one."""
        waiting = [self._number(8, 8) if self._big else self._number(4, 4)]
        seen: set[int] = set()
        found: list[dict[int, list[int]]] = []
        while waiting and len(found) < _DIRECTORIES_MAX:
            offset = waiting.pop()
            if not offset or offset in seen:
                continue
            seen.add(offset)
            tags, following = self._directory(offset)
            found.append(tags)
            waiting += [following, *(o for t in _SUB_DIRECTORIES for o in tags.get(t, []))]
        if not found:
            truncated("it has no picture directory")
        return found

    def _number(self, offset: int, size: int) -> int:
        part = self._source[offset : offset + size]
        if len(part) < size:
            truncated("a TIFF directory is cut off")
        return int.from_bytes(part, "little" if self._little else "big")

    def _directory(self, offset: int) -> tuple[dict[int, list[int]], int]:
        head, entry, pointer = (8, 20, 8) if self._big else (2, 12, 4)
        count = self._number(offset, head)
        if count > _ENTRIES_MAX:
            damaged("a TIFF directory has too many entries")
        tags: dict[int, list[int]] = {}
        for i in range(count):
            at = offset + head + i * entry
            tag, kind = self._number(at, 2), self._number(at + 2, 2)
            values = self._number(at + 4, pointer)
            size = _TYPE_BYTES.get(kind, 1)
            where = at + 4 + pointer
            if size * values > pointer:
                where = self._number(where, pointer)
            if where + size * values > len(self._source):
                truncated("a TIFF directory points behind the end of the file")
            self.end = max(self.end, where + size * values)
            if tag in _WANTED and kind in _WHOLE_NUMBERS:
                self._values += values
                if self._values > _VALUES_MAX:
                    damaged("its TIFF directories have too many values")
                tags[tag] = [self._number(where + n * size, size) for n in range(values)]
        behind = offset + head + count * entry
        self.end = max(self.end, behind + pointer)
        return tags, self._number(behind, pointer)
