"""Reads the EXIF tags that Darkroom uses (CIPA DC-008, EXIF 3.0). Never fails: broken EXIF gives no
tags, and does not make a photo unusable.

A small reader of its own: it reads nothing but the wanted tags, follows each pointer once, and
costs no import. Pillow's reader pulls in its whole TIFF plugin and warns through `warnings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

Value = str | int | float | tuple[int | float, ...]


class Tag(IntEnum):
    """Tags of the main directory and of the EXIF directory."""

    MAKE = 0x010F
    MODEL = 0x0110
    ORIENTATION = 0x0112
    DATE_TIME = 0x0132
    EXPOSURE_TIME = 0x829A
    F_NUMBER = 0x829D
    EXIF_DIRECTORY = 0x8769
    GPS_DIRECTORY = 0x8825
    SENSITIVITY = 0x8827
    STANDARD_OUTPUT_SENSITIVITY = 0x8831
    RECOMMENDED_EXPOSURE_INDEX = 0x8832
    ISO_SPEED = 0x8833
    DATE_TIME_ORIGINAL = 0x9003
    DATE_TIME_DIGITIZED = 0x9004
    OFFSET_TIME = 0x9010
    OFFSET_TIME_ORIGINAL = 0x9011
    OFFSET_TIME_DIGITIZED = 0x9012
    SHUTTER_SPEED_VALUE = 0x9201
    APERTURE_VALUE = 0x9202
    FOCAL_LENGTH = 0x920A
    SUB_SECONDS = 0x9290
    SUB_SECONDS_ORIGINAL = 0x9291
    SUB_SECONDS_DIGITIZED = 0x9292
    COLOUR_SPACE = 0xA001
    INTEROPERABILITY_DIRECTORY = 0xA005
    LENS_MODEL = 0xA434


class GpsTag(IntEnum):
    """Tags of the GPS directory."""

    LATITUDE_REF = 1
    LATITUDE = 2
    LONGITUDE_REF = 3
    LONGITUDE = 4
    ALTITUDE_REF = 5
    ALTITUDE = 6


class InteroperabilityTag(IntEnum):
    """Tags of the interoperability directory."""

    INDEX = 1


_ENTRIES_MAX = 512
_VALUES_MAX = 4
_TEXT_BYTES_MAX = 256
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SLONG, _SRATIONAL, _UTF8 = 1, 2, 3, 4, 5, 9, 10, 129
_SBYTE, _UNDEFINED, _SSHORT, _IFD = 6, 7, 8, 13
_SIZES = {
    _BYTE: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _SLONG: 4, _SRATIONAL: 8, _UTF8: 1,
    _SBYTE: 1, _UNDEFINED: 1, _SSHORT: 2, _IFD: 4,
}  # fmt: skip
_SIGNED = (_SBYTE, _SSHORT, _SLONG, _SRATIONAL)


@dataclass(frozen=True)
class ExifTags:
    """The tags of the main and EXIF directories together, those of the GPS directory, and the
    index of the interoperability directory ("R98", "R03")."""

    main: Mapping[int, Value] = field(default_factory=dict)
    gps: Mapping[int, Value] = field(default_factory=dict)
    interoperability: str | None = None


def read(data: bytes | None) -> ExifTags:
    """The tags of `data`, a TIFF structure with or without the "Exif" prefix."""
    if not data:
        return ExifTags()
    if data.startswith(b"Exif\0"):
        data = data[6:]
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return ExifTags()
    order = _Order(data)
    main = order.directory(order.number(4, 4), Tag)
    main = {**order.directory(main.get(Tag.EXIF_DIRECTORY), Tag), **main}
    gps = order.directory(main.get(Tag.GPS_DIRECTORY), GpsTag)
    pointer = main.get(Tag.INTEROPERABILITY_DIRECTORY)
    index = order.directory(pointer, InteroperabilityTag).get(InteroperabilityTag.INDEX)
    return ExifTags(main, gps, index if isinstance(index, str) else None)


class _Order:
    """Numbers out of a TIFF structure of either byte order; zero behind its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._little = data[:2] == b"II"

    def number(self, offset: int, size: int, *, signed: bool = False) -> int:
        part = self._data[offset : offset + size]
        return int.from_bytes(part, "little" if self._little else "big", signed=signed)

    def directory(self, offset: Value | None, wanted: type[IntEnum]) -> dict[int, Value]:
        found: dict[int, Value] = {}
        known = frozenset(int(tag) for tag in wanted)
        if not isinstance(offset, int) or not 8 <= offset < len(self._data):
            return found
        for i in range(min(self.number(offset, 2), _ENTRIES_MAX)):
            at = offset + 2 + 12 * i
            if at + 12 > len(self._data):
                break
            tag, kind, count = self.number(at, 2), self.number(at + 2, 2), self.number(at + 4, 4)
            if tag not in known or kind not in _SIZES or not count:
                continue
            size = _SIZES[kind] * count
            where = at + 8 if size <= 4 else self.number(at + 8, 4)
            if where + size > len(self._data):
                continue
            value = self._value(kind, count, where)
            if value is not None:
                found[tag] = value
        return found

    def _value(self, kind: int, count: int, where: int) -> Value | None:
        if kind in (_ASCII, _UTF8):
            raw = self._data[where : where + min(count, _TEXT_BYTES_MAX)].split(b"\0")[0]
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                text = raw.decode("latin-1")  # what older cameras and programs write
            # Filtered first: blanks between control characters are blanks at the ends after that.
            return "".join(c for c in text if c.isprintable()).strip() or None
        size = _SIZES[kind]
        signed = kind in _SIGNED
        values: list[int | float] = []
        for i in range(min(count, _VALUES_MAX)):
            at = where + i * size
            if kind in (_RATIONAL, _SRATIONAL):
                denominator = self.number(at + 4, 4, signed=signed)
                if not denominator:
                    return None
                values.append(self.number(at, 4, signed=signed) / denominator)
            else:
                values.append(self.number(at, size, signed=signed))
        return values[0] if len(values) == 1 else tuple(values)
