"""A photo's facts, out of its EXIF and XMP. EXIF counts where both state one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from services.imaging import exif
from services.imaging.exif import ExifTags, GpsTag, Tag, Value
from services.imaging.model import Location, TimeSource

_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
_ORIENTATIONS = range(1, 9)
_ISO_OVERFLOW = 65_535  # EXIF 3.0 4.6.6.7: the sensitivity does not fit, see the other tags
_ADOBE_RGB_INDEX, _ADOBE_RGB_COLOUR_SPACE = "R03", 2
_ISO_MAX = 100_000_000  # beyond any camera: unsigned numbers for "unknown"
_XMP_BYTES_MAX = 1 << 18
_XMP_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(\.\d{1,6})?\d*(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?"
)
_IPTC_TIME = re.compile(r"(\d{14})(?:([+-]\d\d)(\d\d))?")
_XMP_FRACTION = re.compile(r"(\d{1,10})(?:/(\d{1,10}))?")
_XMP_DEGREES = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])")


@dataclass(frozen=True)
class Metadata:
    """What EXIF and XMP state, interpreted. `orientation` is 1..8 (1: upright)."""

    orientation: int = 1
    camera: str | None = None
    lens: str | None = None
    exposure_seconds: float | None = None
    aperture: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    taken_at: str | None = None
    taken_at_source: TimeSource | None = None
    location: Location | None = None
    is_adobe_rgb: bool = False


def read(data: bytes | None, xmp: bytes | None = None, irb: bytes | None = None) -> Metadata:
    """The metadata in `data`, a TIFF structure, in the packet `xmp`, and in the Photoshop image
    resources `irb`, which hold IPTC. What is missing or makes no sense is None."""
    found = exif.read(data)
    tags = found.main
    packet = (xmp or b"")[:_XMP_BYTES_MAX].decode("utf-8", "replace")
    orientation = _first(tags.get(Tag.ORIENTATION))
    taken_at, source = _taken_at(tags, packet, irb or b"")
    return Metadata(
        orientation=int(orientation) if orientation and orientation in _ORIENTATIONS else 1,
        camera=_camera(_text(tags, Tag.MAKE), _text(tags, Tag.MODEL)),
        lens=_text(tags, Tag.LENS_MODEL) or _xmp(packet, "exifEX:LensModel", "aux:Lens"),
        exposure_seconds=_exposure_seconds(tags),
        aperture=_aperture(tags),
        iso=_iso(tags),
        focal_length_mm=_positive(tags, Tag.FOCAL_LENGTH),
        taken_at=taken_at,
        taken_at_source=source,
        location=_location(found.gps) or _xmp_location(packet),
        is_adobe_rgb=_is_adobe_rgb(found),
    )


def _first(value: Value | None) -> float | None:
    if isinstance(value, tuple):
        value = value[0]
    return value if isinstance(value, int | float) else None


def _text(tags: Mapping[int, Value], tag: Tag) -> str | None:
    value = tags.get(tag)
    return value if isinstance(value, str) else None


def _positive(tags: Mapping[int, Value], tag: Tag) -> float | None:
    value = _first(tags.get(tag))
    return round(value, 6) if value and value > 0 else None


def _exposure_seconds(tags: Mapping[int, Value]) -> float | None:
    speed = _first(tags.get(Tag.SHUTTER_SPEED_VALUE))  # APEX: the binary logarithm of 1/t
    found = _positive(tags, Tag.EXPOSURE_TIME)
    if found is not None or speed is None:
        return found
    return round(2.0**-speed, 6) or None if -17 < speed < 20 else None


def _aperture(tags: Mapping[int, Value]) -> float | None:
    value = _first(tags.get(Tag.APERTURE_VALUE))  # APEX: twice the binary logarithm of F
    found = _positive(tags, Tag.F_NUMBER)
    if found is not None or value is None:
        return found
    return round(2.0 ** (value / 2), 1) if 0 < value < 20 else None


def _iso(tags: Mapping[int, Value]) -> int | None:
    values = [
        _first(tags.get(tag))
        for tag in (
            Tag.SENSITIVITY,
            Tag.RECOMMENDED_EXPOSURE_INDEX,
            Tag.ISO_SPEED,
            Tag.STANDARD_OUTPUT_SENSITIVITY,
        )
    ]
    return next((int(v) for v in values if v and 0 < v < _ISO_MAX and v != _ISO_OVERFLOW), None)


def _camera(make: str | None, model: str | None) -> str | None:
    # Most makers repeat their name in the model.
    first_word = make.split()[:1] if make else []
    if first_word and model and not model.lower().startswith(first_word[0].lower()):
        return f"{make} {model}"
    return model or make


def _is_adobe_rgb(found: ExifTags) -> bool:
    """DCF 2.0: the interoperability index "R03"; older cameras write colour space 2."""
    space = _first(found.main.get(Tag.COLOUR_SPACE))
    index = found.interoperability or ""
    return index.startswith(_ADOBE_RGB_INDEX) or space == _ADOBE_RGB_COLOUR_SPACE


# --- time -----------------------------------------------------------------------------------------


def _taken_at(
    tags: Mapping[int, Value], packet: str, irb: bytes
) -> tuple[str | None, TimeSource | None]:
    """When the photo was taken, as ISO 8601 text, and where that is stated."""
    original = _exif_time(
        tags, Tag.DATE_TIME_ORIGINAL, Tag.SUB_SECONDS_ORIGINAL, Tag.OFFSET_TIME_ORIGINAL
    )
    if original:
        return original, TimeSource.ORIGINAL
    digitized = _exif_time(
        tags, Tag.DATE_TIME_DIGITIZED, Tag.SUB_SECONDS_DIGITIZED, Tag.OFFSET_TIME_DIGITIZED
    )
    if digitized:
        return digitized, TimeSource.DIGITIZED
    stated = _xmp_time(
        _xmp(packet, "exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
    )
    if stated:
        return stated, TimeSource.XMP
    created = _iptc_time(irb)
    if created:
        return created, TimeSource.IPTC
    modified = _exif_time(tags, Tag.DATE_TIME, Tag.SUB_SECONDS, Tag.OFFSET_TIME)
    return modified, TimeSource.MODIFIED if modified else None


def _exif_time(tags: Mapping[int, Value], when: Tag, sub_seconds: Tag, offset: Tag) -> str | None:
    text = _text(tags, when)
    if text is None:
        return None
    try:
        taken = datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - as written
    except ValueError:
        return None
    fraction = (_text(tags, sub_seconds) or "").strip()
    decimals = f".{fraction[:6]}" if fraction.isascii() and fraction.isdigit() else ""
    # Cameras that write no offset of their own for a time write the general one.
    zones = (_text(tags, tag) or "" for tag in (offset, Tag.OFFSET_TIME))
    zone = next((z for z in zones if _OFFSET.fullmatch(z)), "")
    return taken.isoformat() + decimals + zone


def _xmp_time(text: str | None) -> str | None:
    found = _XMP_TIME.match(text or "")
    if not found:
        return None
    when, decimals, zone = found[1], found[2] or "", found[3] or ""
    try:
        return datetime.fromisoformat(when).isoformat() + decimals + zone.replace("Z", "+00:00")
    except ValueError:
        return None


def _iptc_time(irb: bytes) -> str | None:
    """Date and time created (IPTC IIM 4.2, data sets 2:55 and 2:60)."""
    found = {number: value for number, value in _iptc(irb) if number in (55, 60)}
    if len(found) < 2:
        return None
    when = _IPTC_TIME.fullmatch((found[55] + found[60]).decode("latin-1"))
    if not when:
        return None
    try:
        taken = datetime.strptime(when[1], "%Y%m%d%H%M%S")  # noqa: DTZ007 - as written
    except ValueError:
        return None
    return taken.isoformat() + (f"{when[2]}:{when[3]}" if when[2] else "")


def _iptc(irb: bytes) -> Iterator[tuple[int, bytes]]:
    """The data sets of record 2 in Photoshop's image resource 0x0404, as number and value."""
    at = 0
    while irb[at : at + 4] == b"8BIM":
        kind = irb[at + 4 : at + 6]
        start = at + 6 + (irb[at + 6 : at + 7] or b"\0")[0] // 2 * 2 + 2  # name of even length
        size = int.from_bytes(irb[start : start + 4], "big")
        if kind == b"\4\4":
            sets = irb[start + 4 : start + 4 + size]
            while sets[:1] == b"\x1c" and len(sets) >= 5 and not sets[3] & 0x80:
                length = int.from_bytes(sets[3:5], "big")
                if sets[1] == 2:
                    yield sets[2], sets[5 : 5 + length]
                sets = sets[5 + length :]
            return
        at = start + 4 + size + (size & 1)


# --- place ----------------------------------------------------------------------------------------


def _location(gps: Mapping[int, Value]) -> Location | None:
    latitude = _degrees(gps.get(GpsTag.LATITUDE), gps.get(GpsTag.LATITUDE_REF), "S", 90)
    longitude = _degrees(gps.get(GpsTag.LONGITUDE), gps.get(GpsTag.LONGITUDE_REF), "W", 180)
    altitude = _first(gps.get(GpsTag.ALTITUDE))
    if altitude is not None and _first(gps.get(GpsTag.ALTITUDE_REF)) in (1, 3):
        altitude = -altitude  # 1 and 3: below the reference level
    return _place(latitude, longitude, altitude)


def _place(
    latitude: float | None, longitude: float | None, altitude: float | None
) -> Location | None:
    # 0, 0 is what devices without a position write.
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    is_known = altitude is not None and isfinite(altitude)
    return Location(latitude, longitude, round(altitude, 2) if is_known and altitude else altitude)


def _degrees(value: Value | None, ref: Value | None, negative: str, most: int) -> float | None:
    if not isinstance(value, tuple) or len(value) != 3 or not isinstance(ref, str):
        return None
    degrees = value[0] + value[1] / 60 + value[2] / 3600
    if not 0 <= degrees <= most:
        return None
    return round(-degrees if ref.upper().startswith(negative) else degrees, 6)


def _xmp_location(packet: str) -> Location | None:
    latitude = _xmp_degrees(_xmp(packet, "exif:GPSLatitude"), "NS", 90)
    longitude = _xmp_degrees(_xmp(packet, "exif:GPSLongitude"), "EW", 180)
    return _place(latitude, longitude, _xmp_altitude(packet))


def _xmp_altitude(packet: str) -> float | None:
    """Metres above the reference level, which XMP writes as a fraction of positive numbers."""
    found = _XMP_FRACTION.fullmatch(_xmp(packet, "exif:GPSAltitude") or "")
    if not found or not int(found[2] or 1):
        return None
    metres = int(found[1]) / int(found[2] or 1)
    return -metres if _xmp(packet, "exif:GPSAltitudeRef") == "1" else metres


def _xmp_degrees(text: str | None, letters: str, most: int) -> float | None:
    found = _XMP_DEGREES.fullmatch(text or "")
    if not found or found[4] not in letters:
        return None
    degrees = int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
    if degrees > most:
        return None
    return round(-degrees if found[4] in "SW" else degrees, 6)


# --- XMP ------------------------------------------------------------------------------------------


def _xmp(packet: str, *names: str) -> str | None:
    """The value of the first of `names` in an XMP packet, as an attribute or an element.

    A search, not a parser: the wanted values are plain text, and XML parsers take input that costs
    far more than its size.
    """
    for name in names:
        for pattern in (
            rf'\b{name}\s*=\s*["\']([^"\'<]{{1,256}})["\']',
            rf"<{name}>([^<]{{1,256}})<",
        ):
            found = re.search(pattern, packet)
            if found:
                text = "".join(c for c in found[1] if c.isprintable()).strip()
                if text:
                    return text
    return None
