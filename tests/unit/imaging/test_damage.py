"""Damaged files: developed or rejected with a named reason, and never half a picture."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from services.imaging.develop import develop
from services.imaging.model import PhotoRejected, RejectionReason
from tests.support import damaged_photos, photos

# An MPO has a second picture after the first; no rendition shows it.
WHOLE = {
    **damaged_photos.valid_files(),
    "two.mpo": photos.mpo()[: photos.mpo().rindex(b"\xff\xd8\xff")],
}
SECONDS_MAX = 5.0


def test_damaged_corpus_is_large_and_deterministic() -> None:
    first, second = dict(damaged_photos.damaged_corpus()), dict(damaged_photos.damaged_corpus())
    assert len(first) >= 300
    assert first == second


def test_develop_damaged_file_is_developed_or_rejected() -> None:
    ends: Counter[str] = Counter()
    for name, source in damaged_photos.damaged_corpus():
        started = time.monotonic()
        try:
            developed = develop(source)
        except PhotoRejected as rejected:
            ends[rejected.reason.value] += 1
        else:
            assert developed.renditions, name
            ends["developed"] += 1
        assert time.monotonic() - started < SECONDS_MAX, name
    # All of these must occur, else the corpus does not test what it should.
    for reason in ("developed", "truncated", "damaged", "polyglot", "not-an-image", "empty"):
        assert ends[reason], ends


@pytest.mark.parametrize("percent", [30, 60, 90, 99])
@pytest.mark.parametrize("name", sorted(WHOLE))
def test_develop_truncated_file_is_rejected(name: str, percent: int) -> None:
    source = WHOLE[name]
    with pytest.raises(PhotoRejected) as caught:
        develop(source[: len(source) * percent // 100])
    assert caught.value.reason is RejectionReason.TRUNCATED


# These end in a mark that says nothing about the picture.
END_MARKS = {".jpg": b"\xff\xd9", ".mpo": b"\xff\xd9", ".gif": b";"}


@pytest.mark.parametrize("name", sorted(n for n in WHOLE if n[-4:] not in END_MARKS))
def test_develop_last_byte_missing_is_truncated(name: str) -> None:
    with pytest.raises(PhotoRejected) as caught:
        develop(WHOLE[name][:-1])
    assert caught.value.reason is RejectionReason.TRUNCATED


@pytest.mark.parametrize(
    ("name", "left"),
    [(n, i) for n in sorted(WHOLE) for i in range(len(END_MARKS.get(n[-4:], b"")))],
)
def test_develop_end_mark_missing_is_developed(name: str, left: int) -> None:
    source = WHOLE[name]
    whole, cut = develop(source), develop(source[: source.rindex(END_MARKS[name[-4:]]) + left])
    assert [r.data for r in cut.renditions] == [r.data for r in whole.renditions]


@pytest.mark.parametrize("name", sorted(n for n in WHOLE if n[-4:] in END_MARKS))
def test_develop_end_mark_and_data_missing_is_truncated(name: str) -> None:
    source = WHOLE[name]
    with pytest.raises(PhotoRejected) as caught:
        develop(source[: source.rindex(END_MARKS[name[-4:]]) - 8])
    assert caught.value.reason is RejectionReason.TRUNCATED


JPEGS = [n for n in sorted(WHOLE) if n.endswith((".jpg", ".mpo"))]


@pytest.mark.parametrize("percent", [55, 70, 85, 95])
@pytest.mark.parametrize("name", JPEGS)
def test_develop_truncated_jpeg_with_end_mark_is_rejected(name: str, percent: int) -> None:
    """libjpeg paints the rest of such a picture grey, or leaves it coarse, without an error."""
    source = WHOLE[name]
    start = source.index(b"\xff\xda")
    # Within the last scan of a progressive JPEG only detail is lost, and no check detects it.
    end = source.rindex(b"\xff\xda") if name == "progressive.jpg" else len(source)
    cut = start + 14 + (end - start - 14) * percent // 100
    while source[cut - 1] == 0xFF:
        cut -= 1
    with pytest.raises(PhotoRejected) as caught:
        develop(source[:cut] + b"\xff\xd9")
    assert caught.value.reason in (RejectionReason.TRUNCATED, RejectionReason.DAMAGED)


def test_develop_jpeg_ending_in_mid_grey_is_developed() -> None:
    image = photos.scene()
    image.paste((128, 128, 128), (0, 32, damaged_photos.WIDTH, damaged_photos.HEIGHT))
    for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
        develop(photos.jpeg(image, **options))
    develop(photos.jpeg(image.convert("L")))


def test_develop_png_with_wrong_data_checksum_is_damaged() -> None:
    source = bytearray(damaged_photos.valid_files()["plain.png"])
    source[source.index(b"IDAT") + 40] ^= 1
    with pytest.raises(PhotoRejected) as caught:
        develop(bytes(source))
    assert caught.value.reason is RejectionReason.DAMAGED


def test_develop_png_with_missing_rows_is_truncated() -> None:
    """Sound chunks and checksums, but fewer pixels inside than the header says."""
    whole = photos.png(np.zeros((64, 64, 3), np.uint8), 8, photos.RGB)
    half = photos.png(np.zeros((32, 64, 3), np.uint8), 8, photos.RGB)
    header = whole[8 : 8 + 25]
    develop(whole)
    with pytest.raises(PhotoRejected) as caught:
        develop(half[:8] + header + half[8 + 25 :])
    assert caught.value.reason is RejectionReason.TRUNCATED


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_develop_png_ending_in_black_is_developed(depth: int, interlaced: bool) -> None:
    samples = np.zeros((33, 21), np.uint16)
    samples[:10] = 1
    develop(photos.png(samples, depth, photos.GREY, interlaced=interlaced))


def test_develop_gif_with_missing_rows_is_truncated() -> None:
    """Sound blocks, but compressed data for the first rows only."""
    source = photos.saved(photos.scene(300, 200).quantize(64), "GIF")
    at = source.index(b",\0\0\0\0") + 10
    at += (3 << ((source[at - 1] & 7) + 1)) if source[at - 1] & 0x80 else 0
    first_block = source[: at + 2 + source[at + 1]]
    with pytest.raises(PhotoRejected) as caught:
        develop(first_block + b"\0;")
    assert caught.value.reason is RejectionReason.TRUNCATED


def test_develop_tiff_without_width_is_damaged() -> None:
    source = bytearray(photos.tiff(np.zeros((8, 8), np.uint8)))
    source[14:18] = bytes(4)  # how many values the first entry, the width, has
    with pytest.raises(PhotoRejected) as caught:
        develop(bytes(source))
    assert caught.value.reason is RejectionReason.DAMAGED


@pytest.mark.parametrize("name", ["photo.heic", "photo.avif"])
def test_develop_heif_with_empty_directory_is_damaged(name: str) -> None:
    source = damaged_photos.valid_files()[name]
    meta = b"\0\0\0\x14meta\0\0\0\0\0\0\0\x08iloc"
    start = source.index(b"meta") - 4
    with pytest.raises(PhotoRejected) as caught:
        develop(source[:start] + meta)
    assert caught.value.reason is RejectionReason.DAMAGED


def test_develop_programming_error_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr("services.imaging.formats.jpeg._open", broken)
    with pytest.raises(TypeError):
        develop(photos.jpeg())
