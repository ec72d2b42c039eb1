"""Files with damage that the picture survives, and pictures stored in ways that are not decoded."""

from __future__ import annotations

import io
import struct
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from PIL import Image, UnidentifiedImageError

from services.imaging.develop import develop
from services.imaging.model import PhotoRejected, RejectionReason
from tests.support import photos

HEIGHT, WIDTH = 16, 24
GREY = np.full((HEIGHT, WIDTH), 128, np.uint8)


def with_wrong_checksum(png: bytes, chunk: bytes, index: int = 0) -> bytes:
    """`png` with a wrong checksum in one of its chunks of a name."""
    at = -1
    for _ in range(index + 1):
        at = png.index(chunk, at + 1)
    end = at + 4 + struct.unpack(">I", png[at - 4 : at])[0]
    return png[:end] + bytes((png[end] ^ 0xFF,)) + png[end + 1 :]


def test_develop_png_transparency_with_wrong_checksum_is_left_out() -> None:
    picture = photos.scene().quantize(8)
    opaque = photos.saved(picture, "PNG")
    source = with_wrong_checksum(photos.saved(picture, "PNG", transparency=0), b"tRNS")
    assert develop(source).renditions == develop(opaque).renditions


@pytest.mark.parametrize(
    ("chunk", "index", "frames"),
    [(b"acTL", 0, 1), (b"fcTL", 0, 1), (b"fcTL", 3, 3), (b"fdAT", 0, 1), (b"fdAT", 2, 3)],
)
def test_develop_apng_ends_before_the_damaged_frame(chunk: bytes, index: int, frames: int) -> None:
    source = with_wrong_checksum(photos.animation("PNG", 5), chunk, index)
    developed = develop(source)
    assert developed.facts.frames == frames
    if frames > 1:
        animated = next(r for r in developed.renditions if r.animated)
        assert getattr(Image.open(io.BytesIO(animated.data)), "n_frames", 1) == frames


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, samples, **options)
    return out.getvalue()


def test_develop_grey_tiff_with_associated_alpha_is_developed() -> None:
    samples = np.stack([GREY // 2, GREY], axis=-1)
    source = tiff(
        samples, photometric="minisblack", extrasamples=["assocalpha"], planarconfig="contig"
    )
    still = Image.open(io.BytesIO(develop(source).renditions[0].data)).convert("L")
    # Half grey, half white: what is half transparent is on white in a JPEG.
    assert abs(np.asarray(still, dtype=float).mean() - 191) < 3


@pytest.mark.parametrize(
    "options",
    [{"bigtiff": True, "byteorder": ">"}, {"compression": "webp"}],
    ids=["big-endian BigTIFF", "WebP"],
)
def test_develop_tiff_that_no_decoder_reads_is_unsupported(options: dict[str, Any]) -> None:
    compression = options.pop("compression", None)
    source = tiff(GREY, photometric="minisblack", **options)
    if compression:
        entry = struct.pack("<HHI", 259, 3, 1)
        at = source.index(entry) + len(entry)
        source = source[:at] + struct.pack("<H", 50_001) + source[at + 2 :]
    with pytest.raises(PhotoRejected) as caught:
        develop(source)
    assert caught.value.reason is RejectionReason.UNSUPPORTED_FORMAT


def _avif_without_alpha_size(source: bytes) -> bytes:
    """An AVIF of an RGBA picture whose alpha picture, the second item, has no `ispe` property. Its
    association is with property 0, which is none."""
    changed = bytearray(source)
    at = source.index(b"ipma") + 12
    assert source[at : at + 2] == b"\0\1"
    at += 3 + source[at + 2]
    assert source[at : at + 2] == b"\0\2"
    assert changed[at + 3] == 1, "the size comes first"
    changed[at + 3] = 0
    return bytes(changed)


def test_develop_avif_whose_alpha_has_no_size_keeps_its_transparency() -> None:
    picture = photos.scene()
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    source = photos.avif(picture)
    old = _avif_without_alpha_size(source)
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(old)).load()
    assert develop(old).renditions == develop(source).renditions


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_develop_tiff_of_12_bits_keeps_levels(
    order: Literal["<", ">"], photometric: Literal["minisblack", "miniswhite"]
) -> None:
    levels = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (48, 1))
    stored = levels if photometric == "minisblack" else 4095 - levels
    bits = (stored[..., None] >> np.arange(11, -1, -1) & 1).astype(np.uint8)
    packed = np.packbits(bits.reshape(48, -1), axis=1)
    # tifffile packs no 12 bits: a file of bytes, whose header then says what they are.
    source = tiff(packed, photometric=photometric, byteorder=order)
    source = with_tags(source, order, {256: 64, 258: 12})
    (rendition,) = (
        r for r in develop(source).renditions if (r.name, r.format) == ("large", "jpeg")
    )
    shown = np.asarray(Image.open(io.BytesIO(rendition.data)).convert("L")).astype(int)
    assert np.abs(shown[24] - levels[24] / 4095 * 255).max() < 4


def with_tags(source: bytes, order: str, values: dict[int, int]) -> bytes:
    """A TIFF with other values of SHORT tags in its first directory."""
    changed = bytearray(source)
    (at,) = struct.unpack_from(f"{order}I", source, 4)
    (count,) = struct.unpack_from(f"{order}H", source, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(f"{order}H", source, entry)
        if tag in values:
            struct.pack_into(f"{order}HIH", changed, entry + 2, 3, 1, values[tag])
    return bytes(changed)


@pytest.mark.parametrize(("planar", "tag"), [("contig", 257), ("separate", 277)])
def test_develop_tiff_with_missing_strips_is_truncated(
    planar: Literal["contig", "separate"], tag: int
) -> None:
    colours = np.stack([GREY] * 3, axis=-1 if planar == "contig" else 0)
    source = tiff(colours, photometric="rgb", planarconfig=planar, rowsperstrip=4)
    # Twice as many rows, or one plane more, than there are strips for.
    more = with_tags(source, "<", {tag: 2 * HEIGHT if tag == 257 else 4})
    with pytest.raises(PhotoRejected) as caught:
        develop(more)
    assert caught.value.reason is RejectionReason.TRUNCATED


def test_develop_tiff_with_uncompressed_subsampled_colour_is_unsupported() -> None:
    source = tiff(np.stack([GREY] * 3, axis=-1), photometric="rgb")
    with pytest.raises(PhotoRejected) as caught:
        develop(with_tags(source, "<", {262: 6}))
    assert caught.value.reason is RejectionReason.UNSUPPORTED_FORMAT
