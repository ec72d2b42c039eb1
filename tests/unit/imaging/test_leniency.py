"""Files with damage that the picture survives, and pictures stored in ways that are not decoded."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

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
