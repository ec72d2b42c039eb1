"""The file structure that HEIC, HEIF and AVIF share (ISO/IEC 14496-12, ISO/IEC 23008-12, AVIF 1.1).

Checks that every box and every extent of every item is inside the file, and counts the pixels that
a derived picture (a grid, an overlay) makes its decoder decode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from services.imaging import coded_colour
from services.imaging.formats.structure import Size, Structure, damaged, truncated
from services.imaging.limits import WorkBudget, too_expensive

_KNOWN_AT_TOP = frozenset(
    (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"idat", b"wide", b"pdin",
     b"moof", b"mfra", b"meco", b"styp", b"sidx", b"mpvd", b"etyp")
)  # fmt: skip
_PICTURE_HANDLERS = (b"pict", b"vide", b"auxv")
_DERIVATION_DEPTH_MAX = 8


@dataclass
class Meta:
    """What the `meta` box says about its items."""

    primary: int = 0
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)
    associations: dict[int, list[int]] = field(default_factory=dict)
    derived_from: dict[int, list[int]] = field(default_factory=dict)
    # The pictures that an auxiliary one, such as an alpha channel, belongs to.
    auxiliary_of: dict[int, list[int]] = field(default_factory=dict)
    associations_at: int = 0  # the offset of the `ipma` box's body
    # Pixels to decode for each item, as far as they are known.
    decoded: dict[int, int] = field(default_factory=dict)


# Changes what the decoder gets: the file, the range of its `meta` box, and what the box says. None
# where nothing is to be changed.
Mend = Callable[[bytes, int, int, Meta, WorkBudget], bytes | None]


def brands(source: bytes) -> list[bytes]:
    """The brands of a file that starts with `ftyp`, the major brand first; empty for others."""
    if source[4:8] != b"ftyp":
        return []
    size = min(max(int.from_bytes(source[:4], "big"), 16), 256)
    return [source[8:12], *(source[i : i + 4] for i in range(16, size - 3, 4))]


def read(
    source: bytes, budget: WorkBudget, *, bytes_per_pixel: int, mend: Mend | None = None
) -> Structure:
    """The structure of `source`, which the decoder gets as `mend` changes it. Raises PhotoRejected.

    `frames` counts the samples of the picture track where the major brand is a sequence of AV1
    pictures, and is 1 otherwise.
    """
    size: Size = (0, 0)
    frames = 1
    end = 0
    meta: Meta | None = None
    meta_at = (0, 0)
    for name, start, stop in boxes(source, 0, len(source), budget, top=True):
        if name == b"ftyp" and end:
            break  # another file is appended, such as the video of a Motion Photo
        if name == b"meta" and meta is None:
            meta, meta_at = _meta(source, start + 4, stop, budget), (start - 8, stop)
            size = _size(source, meta)
        elif name == b"moov" and source[8:12] == b"avis":
            frames = max(frames, _samples(source, start, stop, budget))
        end = stop
    if meta is None:
        truncated("it has no picture directory")
    if not size[0] or not size[1]:
        damaged("it has no width or no height")
    pixels = source[:end] if end < len(source) else None
    if mend is not None:
        pixels = mend(pixels or source, *meta_at, meta, budget) or pixels
    return Structure(
        *size,
        frames,
        end,
        icc=_coded_profile(source, meta),
        pixels=pixels,
        decoded_pixels=_decoded_pixels(source, meta, meta.primary, 0),
        bytes_per_pixel=bytes_per_pixel,
    )


def boxes(
    source: bytes, start: int, stop: int, budget: WorkBudget, *, top: bool = False
) -> Iterator[tuple[bytes, int, int]]:
    """Each box as its type and the range of its body."""
    position = start
    while position + 8 <= stop:
        budget.spend()
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


def _meta(source: bytes, start: int, stop: int, budget: WorkBudget) -> Meta:
    meta = Meta()
    for name, body, end in boxes(source, start, stop, budget):
        if name == b"iloc":
            _check_extents(Cursor(source, body, end), len(source), budget)
        elif name == b"pitm":
            cursor = Cursor(source, body, end)
            version = cursor.take(4) >> 24
            meta.primary = cursor.take(4 if version else 2)
        elif name == b"iref":
            _references(source, body, end, meta, budget)
        elif name == b"iprp":
            for inner, inner_body, inner_end in boxes(source, body, end, budget):
                if inner == b"ipco":
                    meta.properties += boxes(source, inner_body, inner_end, budget)
                elif inner == b"ipma":
                    meta.associations_at = meta.associations_at or inner_body
                    _associations(Cursor(source, inner_body, inner_end), meta, budget)
    return meta


def _check_extents(cursor: Cursor, source_bytes: int, budget: WorkBudget) -> None:
    version = cursor.take(4) >> 24
    sizes = cursor.take(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    id_size = 4 if version == 2 else 2
    for _ in range(cursor.take(id_size)):
        budget.spend()
        cursor.take(id_size)
        in_file = cursor.take(2) & 15 == 0 if version in (1, 2) else True
        external = cursor.take(2) != 0
        base = cursor.take(base_size)
        for _ in range(cursor.take(2)):
            budget.spend()
            cursor.take(index_size)
            offset, length = base + cursor.take(offset_size), cursor.take(length_size)
            if in_file and not external and offset + length > source_bytes:
                truncated("picture data are behind the end of the file")


def _references(source: bytes, start: int, stop: int, meta: Meta, budget: WorkBudget) -> None:
    version = Cursor(source, start, stop).take(4) >> 24
    id_size = 4 if version else 2
    for name, body, end in boxes(source, start + 4, stop, budget):
        if name in (b"dimg", b"auxl"):
            cursor = Cursor(source, body, end)
            item = cursor.take(id_size)
            count = cursor.take(2)
            budget.spend(count)
            found = [cursor.take(id_size) for _ in range(count)]
            (meta.derived_from if name == b"dimg" else meta.auxiliary_of)[item] = found


def _associations(cursor: Cursor, meta: Meta, budget: WorkBudget) -> None:
    head = cursor.take(4)
    id_size = 4 if head >> 24 else 2
    index_size = 2 if head & 1 else 1
    index_mask = 0x7FFF if index_size == 2 else 0x7F
    for _ in range(cursor.take(4)):
        item = cursor.take(id_size)
        count = cursor.take(1)
        budget.spend(1 + count)
        indices = [cursor.take(index_size) & index_mask for _ in range(count)]
        meta.associations.setdefault(item, []).extend(indices)


def _properties(meta: Meta, item: int, wanted: bytes) -> Iterator[int]:
    """The offsets of an item's properties of one type."""
    for index in meta.associations.get(item, []):
        if 1 <= index <= len(meta.properties) and meta.properties[index - 1][0] == wanted:
            yield meta.properties[index - 1][1]


def _extent(source: bytes, at: int) -> Size:
    """Width and height in an `ispe` property."""
    width, height = (int.from_bytes(source[at + i : at + i + 4], "big") for i in (4, 8))
    return width, height


def _size(source: bytes, meta: Meta) -> Size:
    """The size of the primary picture; where it has none, that of the largest."""
    for at in _properties(meta, meta.primary, b"ispe"):
        return _extent(source, at)
    sizes = [_extent(source, at) for name, at, _ in meta.properties if name == b"ispe"]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _decoded_pixels(source: bytes, meta: Meta, item: int, depth: int) -> int:
    if depth > _DERIVATION_DEPTH_MAX:
        too_expensive("its pictures are derived from each other too deeply")
    if item not in meta.decoded:
        parts = meta.derived_from.get(item)
        if parts:
            counts = {part: _decoded_pixels(source, meta, part, depth + 1) for part in set(parts)}
            meta.decoded[item] = sum(counts[part] for part in parts)
        else:
            sizes = [_extent(source, at) for at in _properties(meta, item, b"ispe")]
            meta.decoded[item] = sizes[0][0] * sizes[0][1] if sizes else 0
    return meta.decoded[item]


def _coded_profile(source: bytes, meta: Meta) -> bytes | None:
    """A profile for the primary picture's `nclx` colour, unless it has an ICC profile."""
    found: bytes | None = None
    for at in _properties(meta, meta.primary, b"colr"):
        kind = source[at : at + 4]
        if kind in (b"prof", b"rICC"):
            return None
        if kind == b"nclx":
            primaries, transfer = (
                int.from_bytes(source[at + i : at + i + 2], "big") for i in (4, 6)
            )
            found = coded_colour.profile(primaries, transfer)
    return found


class Cursor:
    """Takes numbers out of a box, one after the other."""

    def __init__(self, source: bytes, position: int, stop: int) -> None:
        self.position = position
        self._source, self._stop = source, stop

    def take(self, size: int) -> int:
        """The next number, of `size` bytes. Raises PhotoRejected (damaged) at the box's end."""
        if self.position + size > self._stop:
            damaged("its picture directory is too short")
        value = int.from_bytes(self._source[self.position : self.position + size], "big")
        self.position += size
        return value


def _samples(source: bytes, start: int, stop: int, budget: WorkBudget) -> int:
    """The samples of the longest picture track in a `moov` box."""
    return max(
        (
            _track_samples(source, body, end, budget)
            for name, body, end in boxes(source, start, stop, budget)
            if name == b"trak"
        ),
        default=0,
    )


def _track_samples(source: bytes, start: int, stop: int, budget: WorkBudget) -> int:
    is_picture = True
    samples = 0
    # Only these boxes are opened, in this order from the outside, so nesting has an end.
    for media in _inside(source, start, stop, b"mdia", budget):
        for name, body, _ in boxes(source, *media, budget):
            if name == b"hdlr":
                is_picture = source[body + 8 : body + 12] in _PICTURE_HANDLERS
        for information in _inside(source, *media, b"minf", budget):
            for table in _inside(source, *information, b"stbl", budget):
                for name, body, _ in boxes(source, *table, budget):
                    if name == b"stsz":
                        samples = int.from_bytes(source[body + 8 : body + 12], "big")
    return samples if is_picture else 0


def _inside(
    source: bytes, start: int, stop: int, wanted: bytes, budget: WorkBudget
) -> list[tuple[int, int]]:
    """The ranges of the boxes of one type."""
    return [(body, end) for name, body, end in boxes(source, start, stop, budget) if name == wanted]
