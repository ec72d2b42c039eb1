"""Renditions are sRGB. What is expected comes from the standards' formulas, not from littleCMS."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from services.imaging import icc
from services.imaging.develop import develop
from services.imaging.model import OutputFormat, Recipe, SourceFormat
from tests.support import icc_profiles, photos

RECIPE = Recipe(formats=(OutputFormat.WEBP, OutputFormat.JPEG), webp_quality=100, jpeg_quality=98)
# JPEG and WebP each move a flat patch by a level or two.
TOLERANCE = 4.0
PATCH = 32
COLOURS = ((200, 60, 50), (60, 170, 70), (50, 70, 190), (128, 128, 128), (235, 225, 215))


def _patches(colours: Sequence[tuple[int, ...]], mode: str) -> Image.Image:
    image = Image.new(mode, (PATCH * len(colours), PATCH))
    for i, colour in enumerate(colours):
        image.paste(
            colour if len(colour) > 1 else colour[0], (i * PATCH, 0, (i + 1) * PATCH, PATCH)
        )
    return image


def _developed_patches(source: bytes, count: int) -> list[np.ndarray]:
    """The middle of each patch in each rendition, averaged."""
    developed = develop(source, RECIPE)
    rendered = [r for r in developed.renditions if r.name == "large"]
    assert len(rendered) == 2
    found = []
    for rendition in rendered:
        pixels = np.asarray(Image.open(io.BytesIO(rendition.data)).convert("RGB"), dtype=float)
        found.append(
            np.stack(
                [pixels[8:24, i * PATCH + 8 : i * PATCH + 24].mean((0, 1)) for i in range(count)]
            )
        )
    return found


def _assert_close(source: bytes, expected: np.ndarray) -> None:
    for found in _developed_patches(source, len(expected)):
        assert np.abs(found - expected).max() < TOLERANCE, (found, expected)


def _expected(primaries: Sequence[tuple[float, float]], linear: np.ndarray) -> np.ndarray:
    to_srgb = np.linalg.inv(icc_profiles.rgb_to_xyz(icc_profiles.SRGB)) @ icc_profiles.rgb_to_xyz(
        primaries
    )
    return icc_profiles.srgb_encoded(linear @ to_srgb.T) * 255


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_display_p3(name: str) -> None:
    profile = icc_profiles.rgb_profile(icc_profiles.P3, icc_profiles.GAMMA_SRGB, "Display P3")
    image = _patches(COLOURS, "RGB")
    build = {"HEIF": photos.heic, "AVIF": photos.avif}.get(name)
    options = {"quality": 98, "icc_profile": profile}
    source = build(image, **options) if build else photos.saved(image, name, **options)

    linear = icc_profiles.srgb_decoded(np.array(COLOURS) / 255)
    expected = _expected(icc_profiles.P3, linear)
    assert np.abs(expected - np.array(COLOURS)).max() > 10  # else the test could not fail
    _assert_close(source, expected)
    assert develop(source).facts.colour_profile == "Display P3"


def test_adobe_rgb() -> None:
    profile = icc_profiles.rgb_profile(icc_profiles.ADOBE_RGB, icc_profiles.gamma_curve(2.19921875))
    source = photos.jpeg(_patches(COLOURS, "RGB"), quality=98, icc_profile=profile)

    linear = (np.array(COLOURS) / 255) ** 2.19921875
    expected = _expected(icc_profiles.ADOBE_RGB, linear)
    assert np.abs(expected - np.array(COLOURS)).max() > 10
    _assert_close(source, expected)


def test_a_photo_in_srgb_is_left_alone() -> None:
    profile = icc_profiles.rgb_profile(
        icc_profiles.SRGB, icc_profiles.GAMMA_SRGB, "sRGB made for a test"
    )
    read = icc.read(profile)
    assert read is not None
    assert read.is_srgb
    source = photos.jpeg(_patches(COLOURS, "RGB"), quality=98, icc_profile=profile)
    _assert_close(source, np.array(COLOURS, dtype=float))


@pytest.mark.parametrize("primaries", [icc_profiles.P3, icc_profiles.ADOBE_RGB])
def test_other_primaries_are_not_taken_for_srgb(primaries: Sequence[tuple[float, float]]) -> None:
    read = icc.read(icc_profiles.rgb_profile(primaries, icc_profiles.GAMMA_SRGB, "sRGB, it says"))
    assert read is not None
    assert not read.is_srgb


def test_another_curve_is_not_taken_for_srgb() -> None:
    read = icc.read(icc_profiles.rgb_profile(icc_profiles.SRGB, icc_profiles.gamma_curve(1.8)))
    assert read is not None
    assert not read.is_srgb


def test_grey_with_a_profile() -> None:
    levels = [(40,), (128,), (220,)]
    source = photos.jpeg(
        _patches(levels, "L"), quality=98, icc_profile=icc_profiles.grey_profile(1.0)
    )
    expected = icc_profiles.srgb_encoded(np.array(levels) / 255) * 255
    assert expected[1, 0] > 180  # gamma 1.0 makes the middle much lighter
    _assert_close(source, np.repeat(expected, 3, axis=1))


def test_grey_without_a_profile_stays_grey() -> None:
    levels = [(40,), (128,), (220,)]
    source = photos.jpeg(_patches(levels, "L"), quality=98)
    _assert_close(source, np.repeat(np.array(levels, dtype=float), 3, axis=1))
    jpeg = [r for r in develop(source).renditions if r.format is OutputFormat.JPEG]
    assert all(Image.open(io.BytesIO(r.data)).mode == "L" for r in jpeg)


INKS = ((0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 1, 1, 0), (0, 0, 0, 1))


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_with_a_profile(name: str) -> None:
    image = _patches([tuple(255 * ink for ink in inks) for inks in INKS], "CMYK")
    source = photos.saved(image, name, quality=98, icc_profile=icc_profiles.cmyk_profile())

    expected = np.stack(
        [icc_profiles.lab_to_srgb(icc_profiles.cmyk_corner_lab(*inks)) for inks in INKS]
    )
    _assert_close(source, expected)


def test_cmyk_without_a_profile() -> None:
    image = _patches([tuple(255 * ink for ink in inks) for inks in INKS], "CMYK")
    source = photos.jpeg(image, quality=98)
    expected = [[255 * (1 - ink) * (1 - k) for ink in (c, m, y)] for c, m, y, k in INKS]
    _assert_close(source, np.array(expected))


SIXTEEN = np.array([0, 255, 256, 4_096, 20_000, 32_768, 50_000, 65_535], dtype=np.uint16)


def _sixteen_patches(channels: int) -> np.ndarray:
    row = np.repeat(SIXTEEN, PATCH)
    return np.tile(row[None, :, None], (PATCH, 1, channels))


@pytest.mark.parametrize(
    "source",
    [
        photos.png(_sixteen_patches(3), 16, photos.RGB),
        photos.png(_sixteen_patches(1), 16, photos.GREY),
        photos.tiff(_sixteen_patches(3), order="<"),
        photos.tiff(_sixteen_patches(3), order=">"),
        photos.tiff(_sixteen_patches(1)[:, :, 0], order="<"),
        photos.tiff(_sixteen_patches(1)[:, :, 0], order=">"),
    ],
    ids=["png rgb", "png grey", "tiff rgb II", "tiff rgb MM", "tiff grey II", "tiff grey MM"],
)
def test_sixteen_bits_are_scaled_and_not_clipped(source: bytes) -> None:
    expected = np.repeat((SIXTEEN / 257)[:, None], 3, axis=1)
    _assert_close(source, expected)


def test_lab_tiff() -> None:
    labs = ((60.0, 40.0, 20.0), (70.0, -30.0, 30.0), (40.0, 5.0, -40.0), (50.0, 0.0, 0.0))
    stored = [(round(l * 2.55), round(a + 128), round(b + 128)) for l, a, b in labs]  # noqa: E741
    source = photos.saved(_patches(stored, "LAB"), "TIFF")
    assert develop(source).facts.format is SourceFormat.TIFF
    _assert_close(source, np.stack([icc_profiles.lab_to_srgb(lab) for lab in labs]))


@pytest.mark.parametrize(
    "profile",
    [
        b"not a profile",
        icc_profiles.cmyk_profile(),
        icc_profiles.rgb_profile(icc_profiles.P3, icc_profiles.GAMMA_SRGB)[:200],
    ],
    ids=["garbage", "for another kind of picture", "cut off"],
)
def test_a_profile_that_cannot_be_used_counts_as_none(profile: bytes) -> None:
    source = photos.jpeg(_patches(COLOURS, "RGB"), quality=98, icc_profile=profile)
    _assert_close(source, np.array(COLOURS, dtype=float))
