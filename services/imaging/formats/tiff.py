"""TIFF (TIFF 6.0; BigTIFF). The first page that is no reduced copy of another is the picture.

The reader checks that every strip and tile of that page is there. Pointers and values that the
picture does not need may be wrong: editors leave stale EXIF and GPS pointers behind.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import cast

from PIL import Image

from services.imaging.formats.photo import Photo, plain, rejecting
from services.imaging.formats.structure import (
    InputFormat,
    Structure,
    camera_raw,
    damaged,
    truncated,
    unsupported,
)
from services.imaging.limits import WorkBudget
from services.imaging.model import PhotoRejected, SourceFormat

_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_PLANAR, _COLOUR_MAP, _SAMPLE_FORMAT, _SAMPLES = 284, 320, 339, 277
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH, _SUBSAMPLING = 278, 322, 323, 530
# Strips and tiles: the tag of their offsets, and that of their byte counts.
_DATA = {273: 279, 324: 325}
_SUB_PICTURES, _EXIF, _GPS, _DNG_VERSION = 330, 34665, 34853, 50706
_SUB_DIRECTORIES = (_SUB_PICTURES, _EXIF, _GPS)
_NEEDED = frozenset(
    (_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT,
     _COLOUR_MAP, _SAMPLES, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH, _SUBSAMPLING, *_DATA,
     *_DATA.values())
)  # fmt: skip
_WANTED = _NEEDED | frozenset((*_SUB_DIRECTORIES, _DNG_VERSION))
_ORIENTATION, _BYTE, _SHORT = 274, 1, 3
# No tags: the offset of the photometric interpretation, and that of the entry of an orientation
# that is typed BYTE. Pillow reads such an orientation as bytes and does not apply it.
_PHOTOMETRIC_AT, _BYTE_ORIENTATION_AT = -1, -2
_BIG_ENDIAN_BIGTIFF = b"MM\x00+"
_REDUCED = 1
_MIN_IS_WHITE, _MIN_IS_BLACK, _SIGNED, _FLOATING, _COMPLEX = 0, 1, 2, (3, 6), (5,)
_YCBCR, _UNCOMPRESSED = 6, 1
_HALVED = [2, 2]  # the colour channels of YCbCr, unless the file says otherwise
_RAW_PHOTOMETRIC = (32803, 34892)  # colour filter array; linear raw (TIFF/EP, DNG)
_RAW_COMPRESSION = (34713, 32767, 32769, 65535, 65000)  # Nikon, Sony, packed, Pentax, Kodak
# What the decoder unpacks: none, CCITT, LZW, JPEG, deflate, packed bits, ThunderScan, LZMA and
# Zstandard.
_DECODABLE = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946, 34925, 50000))
# Byte order, photometric interpretation, sample format, fill order, bits, extra samples.
_GREY_OF_12_BITS = (b"MM", _MIN_IS_BLACK, (1,), 1, (12,), ())
_TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
_WHOLE_NUMBERS = frozenset((1, 3, 4, 13, 16, 18))
_ENTRIES_MAX = 4_096
_DIRECTORIES_MAX = 1_000
_VALUES_MAX = 1_000_000  # over all directories: more strips than any picture within limits has
_BYTES_PER_PIXEL = 8

Tags = dict[int, list[int]]


@dataclass(frozen=True)
class TiffStructure(Structure):
    """The structure of a TIFF file, and how its samples are to be understood."""

    bits: int = 8
    is_signed: bool = False
    is_inverted: bool = False  # white is 0, and Pillow does not know
    colour_map: tuple[int, ...] = ()  # of 8 bits, where TIFF wants 16


def sniff(source: bytes) -> bool:
    """Whether `source` starts as TIFF or BigTIFF does."""
    return source.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"))


def read(source: bytes, budget: WorkBudget) -> TiffStructure:
    """The structure of `source`. Raises PhotoRejected."""
    reader = _Reader(source, budget)
    pages, others = reader.directories()
    _refuse_camera_raw([*pages, *others])
    index = next((i for i, p in enumerate(pages) if not _first(p, _SUBFILE, 0) & _REDUCED), 0)
    page = pages[index]
    width, height = _first(page, _WIDTH, 0), _first(page, _LENGTH, 0)
    if not width or not height:
        damaged("it has no width or no height")
    if any(len(page.get(c, [])) < len(page.get(o, [])) for o, c in _DATA.items()):
        damaged("its TIFF directory does not say where the picture data are")
    if max(len(page.get(offsets, [])) for offsets in _DATA) < _parts(page, width, height):
        truncated("parts of the picture are missing")
    needed = _data_end(page)
    if not needed:
        damaged("its TIFF directory does not say where the picture data are")
    if needed > len(source):
        truncated("picture data are behind the end of the file")
    bits, photometric = _first(page, _BITS, 1), _first(page, _PHOTOMETRIC, _MIN_IS_WHITE)
    sample_format = _first(page, _SAMPLE_FORMAT, 1)
    compression = _first(page, _COMPRESSION, 1)
    if compression not in _DECODABLE:
        unsupported(f"a TIFF with compression {compression}")
    if source.startswith(_BIG_ENDIAN_BIGTIFF):
        unsupported("a BigTIFF in big-endian order")
    if sample_format in (*_FLOATING, *_COMPLEX):
        unsupported("a TIFF with floating-point samples")
    if _is_planar(page) and bits > 8 and compression == _UNCOMPRESSED:
        unsupported("a TIFF with 16-bit samples in separate planes")
    is_halved = photometric == _YCBCR and page.get(_SUBSAMPLING, _HALVED) != [1, 1]
    if is_halved and compression == _UNCOMPRESSED:
        unsupported("a TIFF with uncompressed colour of reduced resolution")
    is_inverted = photometric == _MIN_IS_WHITE and bits in (12, 16) and _PHOTOMETRIC_AT in page
    colour_map = page.get(_COLOUR_MAP, [])
    changes = reader.orientation_as_short(page)
    if is_inverted:
        changes[_first(page, _PHOTOMETRIC_AT, 0)] = _MIN_IS_BLACK
    end = max([reader.end, needed, *map(_data_end, [*pages, *others])])
    return TiffStructure(
        width,
        height,
        1,
        min(end, len(source)),
        pixels=reader.changed(changes) if changes else None,
        page=index,
        bytes_per_pixel=_BYTES_PER_PIXEL,
        bits=bits,
        is_signed=sample_format == _SIGNED,
        is_inverted=is_inverted,
        colour_map=tuple(colour_map) if colour_map and max(colour_map) < 256 else (),
    )


def _first(tags: Tags, tag: int, default: int) -> int:
    return (tags.get(tag) or [default])[0]


def _is_planar(tags: Tags) -> bool:
    return _first(tags, _PLANAR, 1) == 2 and _first(tags, _SAMPLES, 1) > 1


def _parts(tags: Tags, width: int, height: int) -> int:
    """How many strips or tiles the picture has."""
    planes = _first(tags, _SAMPLES, 1) if _is_planar(tags) else 1
    across, down = _first(tags, _TILE_WIDTH, 0), _first(tags, _TILE_LENGTH, 0)
    if across and down:
        return planes * -(-width // across) * -(-height // down)
    rows = _first(tags, _ROWS_PER_STRIP, 0) or height
    return planes * -(-height // rows)


def _refuse_camera_raw(directories: list[Tags]) -> None:
    for tags in directories:
        if _DNG_VERSION in tags:
            camera_raw("DNG")
        is_raw = _first(tags, _PHOTOMETRIC, 0) in _RAW_PHOTOMETRIC
        if is_raw or _first(tags, _COMPRESSION, 0) in _RAW_COMPRESSION:
            camera_raw()


def _data_end(tags: Tags) -> int:
    return max(
        (
            offset + count
            for offsets, counts in _DATA.items()
            for offset, count in zip(tags.get(offsets, []), tags.get(counts, []), strict=False)
        ),
        default=0,
    )


@dataclass
class _Reader:
    """Walks the directories. `end` is the offset behind the last byte that they point at."""

    source: bytes
    budget: WorkBudget
    end: int = 0
    _values: int = 0

    def __post_init__(self) -> None:
        self._order = "little" if self.source[:2] == b"II" else "big"
        self._is_big = 43 in self.source[2:4]

    def directories(self) -> tuple[list[Tags], list[Tags]]:
        """Every directory's whole numbers that matter here, by tag: those of the pages (at least
        one), and those of further pictures, EXIF and GPS."""
        following = self._number(8, 8) if self._is_big else self._number(4, 4)
        seen: set[int] = set()
        pages: list[Tags] = []
        others: list[Tags] = []
        waiting: list[int] = []
        while following and following not in seen and len(pages) < _DIRECTORIES_MAX:
            seen.add(following)
            tags, following = self._directory(following)
            pages.append(tags)
            waiting += self._below(tags)
        while waiting and len(pages) + len(others) < _DIRECTORIES_MAX:
            offset = waiting.pop()
            if offset in seen:
                continue
            seen.add(offset)
            try:
                tags, _ = self._directory(offset)
            except PhotoRejected as rejected:
                if rejected.reason.value == "too-expensive":
                    raise
                continue  # a stale pointer; the picture does not need it
            others.append(tags)
            waiting += self._below(tags)
        if not pages:
            truncated("it has no picture directory")
        return pages, others

    def orientation_as_short(self, tags: Tags) -> dict[int, int]:
        """What to change so that a directory's orientation has the type that TIFF demands."""
        changes: dict[int, int] = {}
        for at in tags.get(_BYTE_ORIENTATION_AT, []):
            value_at = at + (12 if self._is_big else 8)
            changes |= {at + 2: _SHORT, value_at: self._number(value_at, 1)}
        return changes

    def changed(self, changes: dict[int, int]) -> bytes:
        """The file with other numbers of two bytes: offset to number."""
        file = bytearray(self.source)
        for at, value in changes.items():
            file[at : at + 2] = value.to_bytes(2, "little" if self._order == "little" else "big")
        return bytes(file)

    def _below(self, tags: Tags) -> list[int]:
        return [offset for tag in _SUB_DIRECTORIES for offset in tags.get(tag, []) if offset]

    def _number(self, offset: int, size: int) -> int:
        part = self.source[offset : offset + size]
        if len(part) < size:
            truncated("a TIFF directory is cut off")
        return int.from_bytes(part, "little" if self._order == "little" else "big")

    def _directory(self, offset: int) -> tuple[Tags, int]:
        head, entry, pointer = (8, 20, 8) if self._is_big else (2, 12, 4)
        count = self._number(offset, head)
        if count > _ENTRIES_MAX:
            damaged("a TIFF directory has too many entries")
        tags: Tags = {}
        for i in range(count):
            self.budget.spend()
            at = offset + head + i * entry
            tag, kind = self._number(at, 2), self._number(at + 2, 2)
            values = self._number(at + 4, pointer)
            size = _TYPE_BYTES.get(kind, 1)
            where = at + 4 + pointer
            if size * values > pointer:
                where = self._number(where, pointer)
            if where + size * values > len(self.source):
                if tag in _NEEDED:
                    truncated("a TIFF directory points behind the end of the file")
                continue
            self.end = max(self.end, where + size * values)
            if tag == _ORIENTATION and kind == _BYTE and values == 1:
                tags[_BYTE_ORIENTATION_AT] = [at]
            if tag in _WANTED and kind in _WHOLE_NUMBERS:
                self._values += values
                if self._values > _VALUES_MAX:
                    damaged("its TIFF directories have too many values")
                tags[tag] = [self._number(where + n * size, size) for n in range(values)]
                if tag == _PHOTOMETRIC:
                    tags[_PHOTOMETRIC_AT] = [where]
        behind = offset + head + count * entry
        self.end = max(self.end, behind + pointer)
        return tags, self._number(behind, pointer)


class TiffPhoto(Photo):
    """A TIFF, whose samples are brought to 8 bits by what the tags say, not by Pillow's mode."""

    def _plain(self) -> Image.Image:
        structure = cast("TiffStructure", self.structure)
        image: Image.Image = self.file
        if image.mode in ("I;16", "I;16B") and structure.bits < 16:
            scale = 255 / ((1 << structure.bits) - 1)
            image = image.convert("I").point(lambda value: value * scale + 0.5).convert("L")
        elif image.mode == "I" and structure.is_signed and structure.bits == 16:
            image = image.point(lambda value: value * (1 / 256) + 128).convert("L")
        elif image.mode == "L" and structure.is_signed:
            image = image.point([value ^ 0x80 for value in range(256)])
        elif image.mode == "P" and structure.colour_map:
            bands = len(structure.colour_map) // 3
            columns = (structure.colour_map[i * bands : (i + 1) * bands] for i in range(3))
            image.putpalette([value for rgb in zip(*columns, strict=True) for value in rgb])
        if structure.is_inverted:
            from PIL import ImageChops

            return ImageChops.invert(plain(image))
        return plain(image)


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    from PIL import TiffImagePlugin
    from PIL.TiffImagePlugin import TiffImageFile

    # Pillow has this entry for little-endian files only.
    TiffImagePlugin.OPEN_INFO.setdefault(_GREY_OF_12_BITS, ("I;16", "I;12"))
    pixels = structure.pixels or source
    with rejecting():
        try:
            file = TiffImageFile(io.BytesIO(pixels))
            if structure.page:
                file.seek(structure.page)
        except SyntaxError as error:
            if str(error) in ("unknown pixel mode", "unknown data organization"):
                unsupported("a TIFF whose samples are stored in a rare way")
            raise
        return TiffPhoto(file, structure, pixels)


FORMAT = InputFormat(
    name=SourceFormat.TIFF,
    content_types=("image/tiff",),
    sniff=sniff,
    read=read,
    open=open_photo,
    orientation_applied=True,
    adobe_rgb_by_exif=True,
)
