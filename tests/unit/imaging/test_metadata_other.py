"""Facts out of XMP and IPTC, and EXIF values that stand for nothing."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from services.imaging.develop import develop
from services.imaging.metadata import read
from services.imaging.model import TimeSource
from tests.support import photos

LONG = 4
SENSITIVITY, ISO_SPEED = 0x8827, 0x8833


def xmp(**attributes: str) -> bytes:
    """A packet with attributes, whose names have "_" for ":"."""
    stated = " ".join(f'{name.replace("_", ":")}="{v}"' for name, v in attributes.items())
    return f"<rdf:RDF><rdf:Description {stated}/></rdf:RDF>".encode()


def iptc(*data_sets: tuple[int, bytes]) -> bytes:
    """Photoshop's image resources: a path, then IPTC with data sets of record 2."""
    sets = b"".join(b"\x1c\2" + struct.pack(">BH", n, len(value)) + value for n, value in data_sets)
    padded = sets + bytes(len(sets) % 2)
    path = b"8BIM\x07\xd0\x04path\0" + struct.pack(">I", 3) + b"abc\0"
    return path + b"8BIM\4\4\0\0" + struct.pack(">I", len(sets)) + padded


@pytest.mark.parametrize(
    ("stated", "taken_at"),
    [
        ("2010-01-02T03:04:05.67+01:00", "2010-01-02T03:04:05.67+01:00"),
        ("2010-01-02T03:04:05.123456789Z", "2010-01-02T03:04:05.123456+00:00"),
        ("2010-01-02T03:04", "2010-01-02T03:04:00"),
        ("2010-13-02T03:04:05", None),
    ],
)
def test_taken_at_xmp_time_keeps_fraction_and_offset(stated: str, taken_at: str | None) -> None:
    assert read(None, xmp(exif_DateTimeOriginal=stated)).taken_at == taken_at


@pytest.mark.parametrize(
    ("reference", "altitude"), [("0", 35.5), ("1", -35.5)], ids=["above", "below"]
)
def test_location_xmp_altitude_has_the_sign_of_its_reference(
    reference: str, altitude: float
) -> None:
    packet = xmp(
        exif_GPSLatitude="48,51.5N", exif_GPSLongitude="2,21.05E",
        exif_GPSAltitude="355/10", exif_GPSAltitudeRef=reference,
    )  # fmt: skip
    location = read(None, packet).location
    assert location is not None
    assert location.altitude_metres == altitude


@pytest.mark.parametrize("altitude", ["1/0", "high", "-3/1"])
def test_location_xmp_altitude_of_no_sense_is_none(altitude: str) -> None:
    packet = xmp(
        exif_GPSLatitude="48,51.5N", exif_GPSLongitude="2,21.05E", exif_GPSAltitude=altitude
    )
    location = read(None, packet).location
    assert location is not None
    assert location.altitude_metres is None


@pytest.mark.parametrize(
    ("time", "taken_at"),
    [
        (b"101112+0130", "2011-02-03T10:11:12+01:30"),
        (b"101112", "2011-02-03T10:11:12"),
        (b"991112", None),
    ],
)
def test_taken_at_iptc_is_read_where_nothing_else_states_it(
    time: bytes, taken_at: str | None
) -> None:
    resources = iptc((5, b"title"), (55, b"20110203"), (60, time))
    found = read(None, None, resources)
    assert found.taken_at == taken_at
    assert found.taken_at_source is (TimeSource.IPTC if taken_at else None)
    stated = read(None, xmp(xmp_CreateDate="2001-01-01T00:00:00"), resources)
    assert stated.taken_at_source is TimeSource.XMP


def test_facts_iptc_in_jpeg_is_read() -> None:
    resources = b"Photoshop 3.0\0" + iptc((55, b"20110203"), (60, b"101112"))
    segment = b"\xff\xed" + struct.pack(">H", len(resources) + 2) + resources
    source = photos.jpeg()
    facts = develop(source[:2] + segment + source[2:]).facts
    assert facts.taken_at == "2011-02-03T10:11:12"


def test_iso_beyond_any_camera_is_none() -> None:
    block = photos.exif(details=[(SENSITIVITY, LONG, [0xFFFF_FFFF])])
    assert read(block).iso is None
    block = photos.exif(details=[(SENSITIVITY, LONG, [0xFFFF_FFFF]), (ISO_SPEED, LONG, [102_400])])
    assert read(block).iso == 102_400


def test_camera_text_in_latin_1_is_read() -> None:
    assert read(photos.exif([(0x0110, 2, b"Caf\xe9 1")])).camera == "Café 1"


def raw_profile(keyword: bytes, name: bytes, exif: bytes) -> bytes:
    """EXIF in a text chunk, as ImageMagick and ExifTool write it."""
    digits = exif.hex().encode()
    lines = b"\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    text = b"\n%s\n%8d\n%s\n" % (name, len(exif), lines)
    return photos.chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(text))


@pytest.mark.parametrize(
    ("keyword", "name"),
    [
        (b"Raw profile type exif", b"exif"),
        (b"Raw profile type APP1", b"generic profile"),
    ],
)
def test_facts_exif_in_a_text_of_a_png_is_read(keyword: bytes, name: bytes) -> None:
    profile = raw_profile(keyword, name, b"Exif\0\0" + photos.full_exif().removeprefix(b"Exif\0\0"))
    source = photos.png(np.zeros((4, 6, 3), np.uint8), 8, photos.RGB, extra=[profile])
    facts = develop(source).facts
    assert (facts.camera, facts.iso) == ("Darkroom Optics Obscura 4", 400)
