"""Reads what matters in an ICC profile (ICC.1:2022) without a colour engine: the colour space, the
description, and whether it equals sRGB, so that nothing needs converting."""

from __future__ import annotations

from dataclasses import dataclass

# sRGB's colorants, adapted to D50 (ICC.1:2022; IEC 61966-2-1): X, Y, Z of each.
_SRGB_COLORANTS = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
_COLORANT_TOLERANCE = 0.003
# sRGB's transfer curve in the middle: 0.5 encoded is 0.2140 of full light. A pure 2.2 gives 0.2176.
_SRGB_MIDDLE = 0.2140
_MIDDLE_TOLERANCE = 0.0015
_LANGUAGES_MAX = 100


@dataclass(frozen=True)
class Profile:
    """`space` is the four-letter signature of the data's colour space, such as "RGB " or "CMYK"."""

    space: str
    description: str | None
    is_srgb: bool


def read(data: bytes | None) -> Profile | None:
    """The profile in `data`, or None where there is none or it is invalid."""
    if not data or len(data) < 132 or data[36:40] != b"acsp":
        return None
    tags: dict[bytes, bytes] = {}
    for i in range(min(int.from_bytes(data[128:132], "big"), 100)):
        at = 132 + 12 * i
        offset = int.from_bytes(data[at + 4 : at + 8], "big")
        size = int.from_bytes(data[at + 8 : at + 12], "big")
        tags[data[at : at + 4]] = data[offset : offset + size]
    space = data[16:20].decode("latin-1")
    return Profile(space, _description(tags.get(b"desc", b"")), space == "RGB " and _is_srgb(tags))


def _description(tag: bytes) -> str | None:
    if tag[:4] == b"desc":
        length = int.from_bytes(tag[8:12], "big")
        text = tag[12 : 12 + length].decode("latin-1")
    elif tag[:4] == b"mluc":
        text = _english(tag)
    else:
        return None
    return "".join(c for c in text if c.isprintable()).strip()[:128] or None


def _english(tag: bytes) -> str:
    """The English text of a multiLocalizedUnicodeType, preferably of the United States, else the
    first (ICC.1:2022 10.15)."""
    records = [
        tag[at : at + 12]
        for at in range(16, min(16 + 12 * int.from_bytes(tag[8:12], "big"), len(tag) - 11), 12)
    ][:_LANGUAGES_MAX]
    if not records:
        return ""
    english = [record for record in records if record[:2] == b"en"]
    american = [record for record in english if record[2:4] == b"US"]
    chosen = (american or english or records)[0]
    length, offset = (int.from_bytes(chosen[i : i + 4], "big") for i in (4, 8))
    return tag[offset : offset + length].decode("utf-16-be", "replace")


def _is_srgb(tags: dict[bytes, bytes]) -> bool:
    if b"A2B0" in tags:
        return False  # a table overrides the colorants
    for name, expected in _SRGB_COLORANTS.items():
        body = tags.get(name, b"")
        if len(body) < 20:
            return False
        for i, value in enumerate(expected):
            found = int.from_bytes(body[8 + 4 * i : 12 + 4 * i], "big", signed=True) / 65_536
            if abs(found - value) > _COLORANT_TOLERANCE:
                return False
    return all(
        abs(_middle(tags.get(name, b"")) - _SRGB_MIDDLE) < _MIDDLE_TOLERANCE
        for name in (b"rTRC", b"gTRC", b"bTRC")
    )


def _middle(curve: bytes) -> float:
    """What the transfer curve makes of 0.5; -1 where it cannot be read."""
    if curve[:4] == b"curv":
        count = int.from_bytes(curve[8:12], "big")
        values = [
            int.from_bytes(curve[12 + 2 * i : 14 + 2 * i], "big") / 65_535
            for i in ((count - 1) // 2, count // 2)
        ]
        if count > 2 and len(curve) >= 12 + 2 * count:
            return sum(values) / 2
    elif curve[:4] == b"para" and int.from_bytes(curve[8:10], "big") == 3 and len(curve) >= 32:
        g, a, b = (
            int.from_bytes(curve[i : i + 4], "big", signed=True) / 65_536 for i in (12, 16, 20)
        )
        return float(max(a * 0.5 + b, 0.0) ** g)
    return -1.0
