"""Transparency: kept where the format has it, on white in JPEG, and no dark edges."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from services.imaging.develop import develop
from services.imaging.model import Developed, OutputFormat, Recipe
from services.imaging.renditions.encode import flat
from services.imaging.scale import shrink
from tests.support import photos

RECIPE = Recipe(
    formats=(OutputFormat.JPEG, OutputFormat.WEBP, OutputFormat.AVIF),
    jpeg_quality=95, webp_quality=95, avif_quality=90, avif_speed=10,
)  # fmt: skip
EDGE = 300
RED = (230, 30, 30)


def _disc() -> Image.Image:
    """A red disc on transparent black: resizing without premultiplied alpha gives a dark rim."""
    y, x = np.mgrid[:EDGE, :EDGE] - EDGE / 2
    inside = np.hypot(x, y) < EDGE / 3
    pixels = np.zeros((EDGE, EDGE, 4), np.uint8)
    pixels[inside] = (*RED, 255)
    return Image.fromarray(pixels)


def _thumb(developed: Developed, output: OutputFormat) -> Image.Image:
    data = next(r.data for r in developed.renditions if r.name == "thumb" and r.format is output)
    return Image.open(io.BytesIO(data))


def test_edges_keep_their_colour_on_white() -> None:
    pixels = np.asarray(flat(shrink(_disc(), (256, 256))))
    # Between white and red the red channel stays high everywhere; a dark rim pulls it to 115.
    assert pixels[:, :, 0].min() > 225

    developed = develop(photos.saved(_disc(), "PNG"), RECIPE)
    pixels = np.asarray(_thumb(developed, OutputFormat.JPEG).convert("RGB"))
    assert pixels[2, 2].min() > 250
    assert np.percentile(pixels[:, :, 0], 1) > 205  # JPEG itself smears a few pixels of the edge


def test_transparency_is_kept() -> None:
    developed = develop(photos.saved(_disc(), "PNG"), RECIPE)
    for output in (OutputFormat.WEBP, OutputFormat.AVIF):
        image = _thumb(developed, output)
        assert image.mode == "RGBA"
        pixels = np.asarray(image, dtype=float)
        assert pixels[2, 2, 3] < 8
        assert pixels[128, 128, 3] > 247
        half_seen = (pixels[:, :, 3] > 100) & (pixels[:, :, 3] < 156)
        assert half_seen.any()
        assert pixels[half_seen][:, 0].mean() > 170  # still red, not half black (115)


def test_transparency_by_colour_key_palette_and_grey() -> None:
    samples = np.zeros((32, 32, 3), np.uint8)
    samples[:, 16:] = (10, 200, 30)
    key = photos.chunk(b"tRNS", bytes((0, 0, 0, 0, 0, 0)))
    by_key = photos.png(samples, 8, photos.RGB, extra=[key])
    deep = photos.png(samples.astype(np.uint16) * 257, 16, photos.RGB, extra=[key])
    palette = photos.chunk(b"PLTE", bytes((0, 0, 0, 10, 200, 30)))
    by_palette = photos.png(
        samples[:, :, :1] // 10, 1, photos.PALETTE,
        extra=[palette, photos.chunk(b"tRNS", bytes((0, 255)))],
    )  # fmt: skip
    grey_alpha = np.dstack([samples[:, :, 1], (samples[:, :, 1] > 0) * 255])
    by_grey = photos.png(grey_alpha, 8, photos.GREY_ALPHA)
    for source in (by_key, deep, by_palette, by_grey):
        developed = develop(source, RECIPE)
        alpha = np.asarray(_thumb(developed, OutputFormat.WEBP).convert("RGBA"))[:, :, 3]
        assert alpha[16, 4] < 8
        assert alpha[16, 28] > 247
        flat = np.asarray(_thumb(developed, OutputFormat.JPEG).convert("RGB"))
        assert flat[16, 4].min() > 245


def test_an_opaque_alpha_channel_costs_nothing() -> None:
    source = photos.saved(photos.scene().convert("RGBA"), "PNG")
    developed = develop(source, RECIPE)
    assert _thumb(developed, OutputFormat.WEBP).mode == "RGB"
