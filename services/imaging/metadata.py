"""The facts people want to know about a photo, out of its EXIF."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.imaging import exif
from services.imaging.exif import GpsTag, Tag, Value
from services.imaging.model import Location

_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
_ORIENTATIONS = range(1, 9)


@dataclass(frozen=True)
class Metadata:
    """What the EXIF says, already made sense of. `orientation` is 1..8 (1: upright)."""

    orientation: int = 1
    camera: str | None = None
    lens: str | None = None
    exposure_seconds: float | None = None
    aperture: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    taken_at: str | None = None
    location: Location | None = None


def read(data: bytes | None) -> Metadata:
    """The metadata in `data`, a TIFF structure. What is missing or makes no sense is None."""
    tags, gps = exif.read(data)
    orientation = _first(tags.get(Tag.ORIENTATION))
    iso = _first(tags.get(Tag.ISO_SPEED))
    return Metadata(
        orientation=int(orientation) if orientation and orientation in _ORIENTATIONS else 1,
        camera=_camera(_text(tags, Tag.MAKE), _text(tags, Tag.MODEL)),
        lens=_text(tags, Tag.LENS_MODEL),
        exposure_seconds=_positive(tags, Tag.EXPOSURE_TIME),
        aperture=_positive(tags, Tag.F_NUMBER),
        iso=int(iso) if iso else None,
        focal_length_mm=_positive(tags, Tag.FOCAL_LENGTH),
        taken_at=_taken_at(tags),
        location=_location(gps),
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


def _camera(make: str | None, model: str | None) -> str | None:
    # Most makers repeat their name in the model.
    if make and model and not model.lower().startswith(make.split()[0].lower()):
        return f"{make} {model}"
    return model or make


def _taken_at(tags: Mapping[int, Value]) -> str | None:
    for when, offset in (
        (Tag.DATE_TIME_ORIGINAL, Tag.OFFSET_TIME_ORIGINAL),
        (Tag.DATE_TIME, Tag.OFFSET_TIME),
    ):
        text = _text(tags, when)
        if text is None:
            continue
        try:
            taken = datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - as written
        except ValueError:
            continue
        zone = _text(tags, offset) or ""
        return taken.isoformat() + (zone if _OFFSET.fullmatch(zone) else "")
    return None


def _location(gps: Mapping[int, Value]) -> Location | None:
    latitude = _degrees(gps.get(GpsTag.LATITUDE), gps.get(GpsTag.LATITUDE_REF), "S", 90)
    longitude = _degrees(gps.get(GpsTag.LONGITUDE), gps.get(GpsTag.LONGITUDE_REF), "W", 180)
    if latitude is None or longitude is None:
        return None
    altitude = _first(gps.get(GpsTag.ALTITUDE))
    if altitude is not None and _first(gps.get(GpsTag.ALTITUDE_REF)) in (1, 3):
        altitude = -altitude  # 1 and 3: below the reference level
    return Location(latitude, longitude, None if altitude is None else round(altitude, 2))


def _degrees(value: Value | None, ref: Value | None, negative: str, most: int) -> float | None:
    if not isinstance(value, tuple) or len(value) != 3 or not isinstance(ref, str):
        return None
    degrees = value[0] + value[1] / 60 + value[2] / 3600
    if not 0 <= degrees <= most:
        return None
    return round(-degrees if ref.upper().startswith(negative) else degrees, 6)
