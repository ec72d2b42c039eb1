"""Mends AVIF files whose alpha picture states no size: encoders left it out until 2021, browsers
show such files, and libavif refuses them (AVIF_STRICT_ALPHA_ISPE_REQUIRED)."""

from __future__ import annotations

from services.imaging.formats.isobmff import Cursor, Meta, boxes
from services.imaging.limits import WorkBudget

_SIZE = b"ispe"
_HEADER_BYTES = 8


def with_alpha_sizes(
    source: bytes, start: int, stop: int, meta: Meta, budget: WorkBudget
) -> bytes | None:
    """`source` with the size of each alpha picture, which is that of the picture it belongs to;
    None if nothing is missing. `start` and `stop` are the range of the `meta` box.

    The old `meta` box becomes free space, and a new one is appended, so that no offset changes.
    """
    missing = {
        item: sizes[0]
        for item, pictures in meta.auxiliary_of.items()
        if item in meta.associations and not _sizes(meta, item)
        for sizes in [_sizes(meta, picture) for picture in pictures[:1]]
        if sizes
    }
    if not missing:
        return None
    changed = bytearray(source[start:stop])
    added = 0
    cursor = Cursor(source, meta.associations_at, stop)
    head = cursor.take(4)
    id_size, index_size = (4 if head >> 24 else 2), (2 if head & 1 else 1)
    for _ in range(cursor.take(4)):
        budget.spend()
        item = cursor.take(id_size)
        at = cursor.position - start + added
        count = cursor.take(1)
        cursor.take(index_size * count)
        if item in missing and count < 255:
            changed[at] += 1
            changed[at + 1 : at + 1] = missing[item].to_bytes(index_size, "big")
            added += index_size
    for at in (0, *_around(source, start, stop, meta.associations_at, budget)):
        size = int.from_bytes(changed[at : at + 4], "big")
        if size < _HEADER_BYTES:
            return None  # a length of 64 bits, or up to the file's end: nothing writes this
        changed[at : at + 4] = (size + added).to_bytes(4, "big")
    return b"".join((source[: start + 4], b"free", source[start + _HEADER_BYTES :], changed))


def _sizes(meta: Meta, item: int) -> list[int]:
    """The numbers of an item's size properties."""
    return [
        index
        for index in meta.associations.get(item, [])
        if 1 <= index <= len(meta.properties) and meta.properties[index - 1][0] == _SIZE
    ]


def _around(source: bytes, start: int, stop: int, position: int, budget: WorkBudget) -> list[int]:
    """The offsets in the `meta` box of the boxes inside it that hold `position`."""
    found: list[int] = []
    inner = start + _HEADER_BYTES + 4
    while True:
        holding = [(b, e) for _, b, e in boxes(source, inner, stop, budget) if b <= position < e]
        if not holding:
            return found
        inner, stop = holding[0]
        found.append(inner - _HEADER_BYTES - start)
        if inner == position:
            return found
