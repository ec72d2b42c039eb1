"""Resizing, against Lanczos in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from services.imaging.scale import shrink
from tests.support.lanczos import Pixels, lanczos


def _photo(width: int, height: int) -> Image.Image:
    """Detail of every size, sharp edges and a sensor's noise."""
    rng = np.random.default_rng(7)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (n, n * 3 // 2, 3), np.uint8)).resize(
                (width, height)
            ),
            dtype=float,
        )
        for n in (4, 20, 100)
    ]
    picture = layers[0] * 0.5 + layers[1] * 0.3 + layers[2] * 0.2
    picture[height // 3 : height // 2, width // 4 : width // 2] = (250, 240, 10)
    picture += rng.normal(0, 6, picture.shape)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def _lanczos_premultiplied(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    opacity = pixels[:, :, 3:] / 255
    resized = lanczos(np.concatenate((pixels[:, :, :3] * opacity, pixels[:, :, 3:]), 2), size)
    return np.concatenate((resized[:, :, :3] / (resized[:, :, 3:] / 255), resized[:, :, 3:]), 2)


def _psnr(found: Image.Image, expected: Pixels) -> float:
    """Decibels; higher is closer."""
    pixels = np.asarray(found, dtype=float).reshape(expected.shape)
    return float(10 * np.log10(255**2 / ((pixels - expected.clip(0, 255)) ** 2).mean()))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(1000, 667), (512, 341), (128, 85)])
def test_shrink_opaque_picture_is_closer_to_lanczos_than_pillows_fast_filter(
    mode: str, size: tuple[int, int]
) -> None:
    photo = _photo(1500, 1000).convert(mode)
    pixels = np.asarray(photo, dtype=float).reshape(1000, 1500, -1)
    expected = lanczos(pixels, size)
    psnr = _psnr(shrink(photo, size), expected)
    assert psnr > 52
    before = photo.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0)
    assert psnr > _psnr(before, expected)


def test_shrink_transparent_picture_is_lanczos_of_premultiplied_colours() -> None:
    photo = _photo(900, 600).convert("RGBA")
    # Not below a quarter: eight bits hold few colours where little is seen.
    photo.putalpha(Image.linear_gradient("L").resize(photo.size).point(lambda v: 64 + v * 3 // 4))
    expected = _lanczos_premultiplied(np.asarray(photo, dtype=float), (400, 267))
    psnr = _psnr(shrink(photo, (400, 267)), expected)
    assert psnr > 45
    before = photo.resize((400, 267), Image.Resampling.HAMMING, reducing_gap=1.0)
    assert psnr > _psnr(before, expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "LAB"])
def test_shrink_any_developed_mode_keeps_mode_and_flat_colour(mode: str) -> None:
    colour = (90, 160, 60, 200)[: len(Image.new(mode, (1, 1)).getbands())]
    picture = Image.new(mode, (301, 203), colour if len(colour) > 1 else colour[0])
    small = shrink(picture, (60, 40))
    assert (small.mode, small.size) == (mode, (60, 40))
    expected = np.asarray(picture, dtype=int)[:40, :60]
    assert np.abs(np.asarray(small, dtype=int) - expected).max() <= 1


def test_shrink_to_the_same_size_returns_the_picture() -> None:
    picture = Image.new("RGB", (30, 20))
    assert shrink(picture, (30, 20)) is picture


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (300, 1), (299, 199)])
def test_shrink_to_extreme_sizes_gives_them(size: tuple[int, int]) -> None:
    assert shrink(_photo(300, 200), size).size == size
