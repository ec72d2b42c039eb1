"""What the file says is known, and nothing of it is in a rendition."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.imaging import metadata
from services.imaging.develop import develop
from services.imaging.model import Location, OutputFormat, Recipe
from tests.support import damaged_photos, icc_profiles, photos

RECIPE = Recipe(formats=tuple(OutputFormat), avif_speed=10)
SECRET = b"a private word"
XMP = b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/">a private word</x:xmpmeta>'


@pytest.mark.parametrize("order", ["<", ">"])
def test_facts_camera_photo_are_complete(order: str) -> None:
    facts = develop(photos.jpeg(exif=photos.full_exif(order)), RECIPE).facts
    assert facts.camera == "Darkroom Optics Obscura 4"
    assert facts.lens == "35mm F2.8"
    assert facts.exposure_seconds == 0.004
    assert facts.aperture == 2.8
    assert facts.iso == 400
    assert facts.focal_length_mm == 35
    assert facts.taken_at == "2026-11-20T17:45:10+01:00"
    assert facts.location == Location(-33.856967, 151.215167, 58.3)


@pytest.mark.parametrize(
    "name", ["plain.png", "lossy.webp", "photo.heic", "photo.avif", "baseline.jpg"]
)
def test_facts_exif_is_read_in_every_format(name: str) -> None:
    facts = develop(damaged_photos.valid_files()[name], RECIPE).facts
    assert facts.camera == "Darkroom Optics Obscura 4"
    assert facts.location is not None
    assert facts.taken_at == "2026-11-20T17:45:10+01:00"


def test_facts_tiff_tags_are_read() -> None:
    source = photos.saved(photos.scene(), "TIFF", tiffinfo={0x0110: "Obscura 4"})
    assert develop(source, RECIPE).facts.camera == "Obscura 4"


def test_facts_photo_without_exif_are_none() -> None:
    source = photos.jpeg()
    facts = develop(source, RECIPE).facts
    assert (facts.camera, facts.lens, facts.taken_at, facts.location) == (None,) * 4
    assert facts.bytes == len(source)
    assert len(facts.sha256) == 64


def _text(tag: int, text: bytes) -> photos.Entry:
    return (tag, photos.ASCII, text)


@pytest.mark.parametrize(
    ("block", "taken_at"),
    [
        (photos.exif([_text(0x0132, b"2026:02:30 10:00:00")]), None),
        (photos.exif([_text(0x0132, b"0000:00:00 00:00:00")]), None),
        (photos.exif([_text(0x0132, b"yesterday")]), None),
        (photos.exif([_text(0x0132, b"2026:02:28 10:00:00")]), "2026-02-28T10:00:00"),
        (
            photos.exif([_text(0x0132, b"2026:02:28 10:00:00")], [_text(0x9010, b"CET")]),
            "2026-02-28T10:00:00",
        ),
    ],
)
def test_taken_at_invalid_time_is_none(block: bytes, taken_at: str | None) -> None:
    assert metadata.read(block).taken_at == taken_at


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        (b"NIKON CORPORATION", b"NIKON D90", "NIKON D90"),
        (b"Apple", b"iPhone 17", "Apple iPhone 17"),
        (b"", b"Thing", "Thing"),
        (b"Maker", b"", "Maker"),
    ],
)
def test_camera_maker_in_model_is_not_repeated(make: bytes, model: bytes, camera: str) -> None:
    block = photos.exif([_text(0x010F, make), _text(0x0110, model)])
    assert metadata.read(block).camera == camera


def test_location_impossible_coordinates_is_none() -> None:
    gps = [
        _text(1, b"N"),
        (2, photos.RATIONAL, [(95, 1), (0, 1), (0, 1)]),
        _text(3, b"E"),
        (4, photos.RATIONAL, [(10, 1), (0, 1), (0, 1)]),
    ]
    assert metadata.read(photos.exif([(0x0112, photos.SHORT, [1])], gps=gps)).location is None
    nowhere = [(t, k, [(0, 0)] * 3) if k == photos.RATIONAL else (t, k, v) for t, k, v in gps]
    assert metadata.read(photos.exif([(0x0112, photos.SHORT, [1])], gps=nowhere)).location is None


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_after_the_byte_order_are_read_without_an_error(tail: bytes) -> None:
    for head in (b"II*\0", b"MM\0*", b"Exif\0\0II*\0\x08\0\0\0"):
        metadata.read(head + tail)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=20))
def test_broken_exif_is_read_without_an_error(changes: list[tuple[int, int]]) -> None:
    block = bytearray(photos.full_exif())
    for at, value in changes:
        block[at % len(block)] = value
    metadata.read(bytes(block))


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense" * 20]
)
def test_broken_exif_never_costs_a_good_photo(block: bytes) -> None:
    assert develop(photos.jpeg(exif=block), RECIPE).facts.camera is None


# --- nothing private is left ----------------------------------------------------------------------


def _segments(data: bytes) -> Iterator[int]:
    """Every JPEG marker up to the first scan."""
    at = 2
    while True:
        assert data[at] == 0xFF
        marker = data[at + 1]
        yield marker
        if marker == 0xDA:
            return
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]


def _chunks(data: bytes) -> Iterator[bytes]:
    """Every RIFF chunk's name, inside frames too."""
    at = 12
    while at < len(data):
        name, size = data[at : at + 4], struct.unpack("<L", data[at + 4 : at + 8])[0]
        yield name
        at += 8 + size + (size & 1)


def _boxes(data: bytes) -> Iterator[bytes]:
    """The types of an AVIF's items and properties."""
    for name in (b"Exif", b"mime", b"uri ", b"prof", b"rICC", b"xml "):
        if name in data:
            yield name


def _sources() -> Iterator[tuple[str, bytes]]:
    exif, icc = (
        photos.full_exif(),
        icc_profiles.rgb_profile(icc_profiles.P3, icc_profiles.GAMMA_SRGB),
    )
    everything: dict[str, Any] = {"exif": exif, "icc_profile": icc, "xmp": XMP}
    yield "jpeg", photos.jpeg(comment=SECRET, **everything)
    yield "png", photos.saved(photos.scene(), "PNG", exif=exif, icc_profile=icc)
    yield "webp", photos.saved(photos.scene(), "WEBP", **everything)
    yield "moving webp", photos.animation("WEBP", **everything)
    yield "moving gif", photos.animation("GIF", comment=SECRET)
    yield "tiff", photos.saved(photos.scene(), "TIFF", tiffinfo={0x010E: SECRET.decode()})
    yield "heic", photos.heic(exif=exif, xmp=XMP, icc_profile=icc)
    yield "avif", photos.avif(**everything)


SOURCES = dict(_sources())


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_but_pixels_is_in_a_rendition(name: str) -> None:
    source = SOURCES[name]
    assert any(word in source for word in (b"Obscura", SECRET))  # there is something to leave out
    for rendition in develop(source, RECIPE).renditions:
        for word in (b"Obscura", SECRET, b"made for a test", b"Exif", b"xpacket", b"GPS"):
            assert word not in rendition.data
        match rendition.format:
            case OutputFormat.JPEG:
                # JFIF, tables, frame, scan. No other application segment, no comment.
                assert set(_segments(rendition.data)) <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}
            case OutputFormat.WEBP:
                assert set(_chunks(rendition.data)) <= {
                    b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF",
                }  # fmt: skip
            case OutputFormat.AVIF:
                assert not list(_boxes(rendition.data))
