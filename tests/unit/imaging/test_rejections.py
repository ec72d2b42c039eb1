"""Each named reason, and limits that hold before memory is taken."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.imaging.develop import develop
from services.imaging.formats.trailer import UNKNOWN_BYTES_MAX
from services.imaging.model import Limits, PhotoRejected, Recipe, RejectionReason
from tests.support import damaged_photos, photos


def _reason(source: bytes, limits: Limits | None = None) -> RejectionReason:
    with pytest.raises(PhotoRejected) as caught:
        develop(source, Recipe(), limits or Limits())
    message = caught.value.message
    assert message.endswith(".")
    assert "Traceback" not in message
    assert len(message) > 40
    return caught.value.reason


def test_develop_empty_file_is_rejected() -> None:
    assert _reason(b"") is RejectionReason.EMPTY


@pytest.mark.parametrize(
    "source",
    [
        b"Dear lab, please print this.",
        damaged_photos.PDF,
        damaged_photos.zip_archive(),
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"\xff\xd8",
        b"\0" * 1000,
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    ],
)
def test_develop_other_file_is_not_an_image(source: bytes) -> None:
    assert _reason(source) is RejectionReason.NOT_AN_IMAGE


@pytest.mark.parametrize(
    "source",
    [
        photos.saved(photos.scene(), "BMP"),
        b"8BPS\0\1" + bytes(40),
        b"SIMPLE  =                    T",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40),
        photos.saved(photos.scene().convert("F"), "TIFF"),
        photos.saved(photos.scene().convert("I"), "TIFF"),
        photos.jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc3\0\x11\x08"),
        photos.jpeg().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
    ],
    ids=["bmp", "psd", "fits", "mp4", "float tiff", "32-bit tiff", "lossless jpeg", "12-bit jpeg"],
)
def test_develop_other_picture_format_is_unsupported(source: bytes) -> None:
    assert _reason(source) is RejectionReason.UNSUPPORTED_FORMAT


def test_develop_file_over_byte_limit_is_rejected() -> None:
    source = photos.jpeg()
    develop(source, Recipe(), Limits(bytes_max=len(source)))
    assert _reason(source, Limits(bytes_max=len(source) - 1)) is RejectionReason.TOO_MANY_BYTES


@pytest.mark.parametrize("name", sorted(damaged_photos.valid_files()))
def test_develop_picture_over_pixel_limit_is_rejected(name: str) -> None:
    source = damaged_photos.valid_files()[name]
    pixels = 48 * 32 if name.startswith("moving") else damaged_photos.WIDTH * damaged_photos.HEIGHT
    develop(source, Recipe(), Limits(pixels_per_frame_max=pixels))
    reason = _reason(source, Limits(pixels_per_frame_max=pixels - 1))
    assert reason is RejectionReason.TOO_MANY_PIXELS


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png"])
def test_develop_animation_over_frame_limit_is_rejected(name: str) -> None:
    source = damaged_photos.valid_files()[name]
    develop(source, Recipe(), Limits(frames_max=5))
    assert _reason(source, Limits(frames_max=4)) is RejectionReason.TOO_MANY_FRAMES


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png"])
def test_develop_animation_over_total_pixel_limit_is_rejected(name: str) -> None:
    source = damaged_photos.valid_files()[name]
    pixels = 5 * 48 * 32
    develop(source, Recipe(), Limits(pixels_in_all_max=pixels))
    reason = _reason(source, Limits(pixels_in_all_max=pixels - 1))
    assert reason is RejectionReason.TOO_MANY_PIXELS_IN_ALL


def test_develop_over_time_limit_is_rejected() -> None:
    assert _reason(photos.jpeg(), Limits(seconds_max=0)) is RejectionReason.TIMED_OUT


def test_develop_time_limit_is_checked_between_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1000))
    monkeypatch.setattr("services.imaging.limits.time.monotonic", lambda: next(now))
    # The steps before the stills check four times and three stills once each; five frames follow.
    reason = _reason(damaged_photos.valid_files()["moving.gif"], Limits(seconds_max=8))
    assert reason is RejectionReason.TIMED_OUT


def test_develop_decompression_bomb_is_rejected_before_allocation() -> None:
    source = photos.bomb_png()
    tracemalloc.start()
    try:
        assert _reason(source) is RejectionReason.TOO_MANY_PIXELS
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_develop_gif_frame_larger_than_canvas_counts_its_pixels() -> None:
    source = bytearray(damaged_photos.valid_files()["still.gif"])
    at = source.index(b",\0\0\0\0")
    source[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert _reason(bytes(source)) is RejectionReason.TOO_MANY_PIXELS


def test_develop_jpeg_with_too_many_scans_is_damaged() -> None:
    source = photos.jpeg(progressive=True)
    at = source.rindex(b"\xff\xda")
    scan = source[at:-2]
    assert _reason(source[:-2] + scan * 200 + source[-2:]) is RejectionReason.DAMAGED


# An MPO has its second picture before whatever follows: appended data cannot be recognized there.
SOUND = sorted(damaged_photos.valid_files().keys() - {"two.mpo"})


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize(
    "payload",
    [
        damaged_photos.zip_archive(),
        damaged_photos.PDF,
        damaged_photos.HTML,
        b"\x7fELF\2\1\1" + bytes(60),
        b"MZ" + bytes(90),
    ],
    ids=["zip", "pdf", "html", "elf", "exe"],
)
def test_develop_photo_with_appended_document_is_polyglot(name: str, payload: bytes) -> None:
    assert _reason(damaged_photos.valid_files()[name] + payload) is RejectionReason.POLYGLOT


def test_develop_jpeg_with_pdf_comment_is_polyglot() -> None:
    assert _reason(photos.jpeg(comment=damaged_photos.PDF)) is RejectionReason.POLYGLOT


def test_develop_large_unknown_trailer_is_polyglot() -> None:
    payload = b"\1unknown" + bytes(range(1, 251)) * (UNKNOWN_BYTES_MAX // 250 + 1)
    assert _reason(photos.jpeg() + payload) is RejectionReason.POLYGLOT


@pytest.mark.parametrize(
    "trailer",
    [
        b"\0" * 4096,
        b"\r\n",
        photos.jpeg(),
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(256)) * 8192,
        b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data" + bytes(300) + b"SEFHk\0\0\0\x18\0\0\0SEFT",
        b"vendor's own few bytes",
    ],
    ids=["padding", "newline", "second jpeg", "motion photo", "samsung", "small and unknown"],
)
def test_develop_trailer_of_a_phone_is_developed(trailer: bytes) -> None:
    develop(photos.jpeg() + trailer)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_develop_any_bytes_is_developed_or_rejected(data: bytes) -> None:
    for head in (
        b"",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
        b"GIF89a\x10\0\x10\0",
        b"II*\0\x08\0\0\0",
        b"RIFF\x00\x01\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0",
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif\0\0",
    ):
        with contextlib.suppress(PhotoRejected):
            develop(head + data)
