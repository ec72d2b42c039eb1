"""All eight EXIF orientations, in both byte orders, are applied exactly once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from services.imaging.develop import develop
from services.imaging.model import OutputFormat, Recipe
from tests.support import damaged_photos, photos

RECIPE = Recipe(formats=(OutputFormat.JPEG,), jpeg_quality=95)
ORIENTATIONS = range(1, 9)


def _assert_looks_like_scene(data: bytes) -> None:
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)
    scene = np.asarray(photos.scene(), dtype=float)
    assert picture.shape == scene.shape
    assert np.abs(picture - scene).mean() < 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientation_jpeg_is_applied_once(orientation: int, order: str) -> None:
    stored = photos.as_stored(photos.scene(), orientation)
    source = photos.jpeg(stored, exif=photos.orientation_exif(orientation, order))

    developed = develop(source, RECIPE)

    assert (developed.facts.width, developed.facts.height) == (
        damaged_photos.WIDTH,
        damaged_photos.HEIGHT,
    )
    for rendition in developed.renditions:
        assert (rendition.width, rendition.height) == (damaged_photos.WIDTH, damaged_photos.HEIGHT)
        _assert_looks_like_scene(rendition.data)
        assert not Image.open(io.BytesIO(rendition.data)).getexif()


def _png(image: Image.Image, orientation: int) -> bytes:
    return photos.saved(image, "PNG", exif=photos.orientation_exif(orientation))


def _webp(image: Image.Image, orientation: int) -> bytes:
    return photos.saved(
        image, "WEBP", lossless=True, exif=photos.orientation_exif(orientation, ">")
    )


def _tiff(image: Image.Image, orientation: int) -> bytes:
    return photos.tiff(np.asarray(image), order=">", orientation=orientation)


def _tiff_compressed(image: Image.Image, orientation: int) -> bytes:
    return photos.saved(image, "TIFF", compression="tiff_lzw", tiffinfo={0x0112: orientation})


def _heic(image: Image.Image, orientation: int) -> bytes:
    return photos.heic(image, exif=photos.orientation_exif(orientation))


def _avif(image: Image.Image, orientation: int) -> bytes:
    return photos.avif(image, exif=photos.orientation_exif(orientation))


@pytest.mark.parametrize("build", [_png, _webp, _tiff, _tiff_compressed, _heic, _avif])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientation_other_formats_is_applied_once(
    build: Callable[[Image.Image, int], bytes], orientation: int
) -> None:
    stored = photos.as_stored(photos.scene(), orientation)

    developed = develop(build(stored, orientation), RECIPE)

    assert (developed.facts.width, developed.facts.height) == (
        damaged_photos.WIDTH,
        damaged_photos.HEIGHT,
    )
    _assert_looks_like_scene(developed.renditions[0].data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [photos.BYTE, photos.LONG])
def test_orientation_tiff_of_another_type_is_applied_once(
    kind: int, order: Literal["<", ">"]
) -> None:
    """TIFF 6.0 demands SHORT; some writers store BYTE or LONG."""
    stored = np.asarray(photos.as_stored(photos.scene(), 6))
    source = photos.tiff(stored, order=order, orientation=6, orientation_type=kind)
    _assert_looks_like_scene(develop(source, RECIPE).renditions[0].data)


def test_orientation_large_photo_keeps_proportions() -> None:
    stored = photos.as_stored(photos.scene(900, 600), 6)
    source = photos.jpeg(stored, exif=photos.orientation_exif(6))

    developed = develop(source, RECIPE)

    sizes = {r.name: (r.width, r.height) for r in developed.renditions}
    assert sizes == {"thumb": (256, 171), "medium": (900, 600), "large": (900, 600)}
    for rendition in developed.renditions:
        assert Image.open(io.BytesIO(rendition.data)).size == (rendition.width, rendition.height)


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_orientation_invalid_value_is_ignored(value: int) -> None:
    source = photos.jpeg(exif=photos.orientation_exif(value))
    _assert_looks_like_scene(develop(source, RECIPE).renditions[0].data)
