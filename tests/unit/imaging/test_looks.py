"""Placeholder, fingerprint, dominant colour, and what a recipe's version stands for."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from math import cos, pi

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from services.imaging.develop import develop
from services.imaging.fingerprint import fingerprint
from services.imaging.model import JpegFlavour, OutputFormat, Recipe, RenditionSpec
from services.imaging.placeholder import dominant_colour, thumbhash
from tests.support import photos


def _bits_apart(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def _clouds(seed: int = 3) -> Image.Image:
    """Something with detail of many sizes, as photos have."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (n, n * 4 // 3), np.uint8)).resize((400, 300))
        for n in (3, 6, 12)
    ]
    first = Image.blend(layers[0], layers[1], 0.4)
    return Image.blend(first, layers[2], 0.2).convert("RGB")


def test_alike_pictures_have_alike_fingerprints() -> None:
    scene = _clouds()
    original = fingerprint(scene)
    assert len(original) == 16
    for other in (
        scene.resize((200, 150)),
        ImageEnhance.Brightness(scene).enhance(1.15),
        Image.open(io.BytesIO(photos.jpeg(scene, quality=30))),
    ):
        assert _bits_apart(original, fingerprint(other)) <= 6
    assert _bits_apart(original, fingerprint(scene.rotate(90))) > 16
    assert _bits_apart(original, fingerprint(_clouds(seed=4))) > 16


def test_the_fingerprint_does_not_depend_on_the_format() -> None:
    scene = _clouds()
    prints = [
        develop(source).fingerprint
        for source in (photos.jpeg(scene), photos.saved(scene, "PNG"), photos.heic(scene))
    ]
    assert max(_bits_apart(prints[0], p) for p in prints) <= 4


def _decoded(text: str) -> tuple[np.ndarray, float]:
    """A ThumbHash as pixels (RGBA, 0..1), and its width over its height. By the format's page."""
    data = base64.b64decode(text)
    head, second = int.from_bytes(data[:3], "little"), int.from_bytes(data[3:5], "little")
    has_alpha, landscape = bool(head >> 23), bool(second >> 15)
    longer = 5 if has_alpha else 7
    lx, ly = (longer, second & 7) if landscape else (second & 7, longer)
    at = 6 if has_alpha else 5
    nibbles = iter([n for byte in data[at:] for n in (byte & 15, byte >> 4)])

    def channel(nx: int, ny: int, scale: float) -> dict[tuple[int, int], float]:
        return {
            (u, v): (next(nibbles) / 7.5 - 1) * scale
            for v in range(ny)
            for u in range(nx)
            if (u or v) and u * ny < nx * (ny - v)
        }

    means = ((head & 63) / 63, (head >> 6 & 63) / 31.5 - 1, (head >> 12 & 63) / 31.5 - 1)
    terms = [
        channel(max(3, lx), max(3, ly), (head >> 18 & 31) / 31),
        channel(3, 3, (second >> 3 & 63) / 63 * 1.25),
        channel(3, 3, (second >> 9 & 63) / 63 * 1.25),
    ]
    alpha_mean, alpha_terms = 1.0, {}
    if has_alpha:
        alpha_mean = (data[5] & 15) / 15
        alpha_terms = channel(5, 5, (data[5] >> 4) / 15)
    edge = 32
    out = np.zeros((edge, edge, 4))
    for y in range(edge):
        for x in range(edge):
            l, p, q, a = (  # noqa: E741
                mean
                + sum(
                    2 * f * cos(pi / edge * u * (x + 0.5)) * cos(pi / edge * v * (y + 0.5))
                    for (u, v), f in part.items()
                )
                for mean, part in zip((*means, alpha_mean), (*terms, alpha_terms), strict=True)
            )
            b = l - 2 / 3 * p
            r = (3 * l - b + q) / 2
            out[y, x] = (r, r - q, b, a)
    return out.clip(0, 1), lx / ly


def test_the_placeholder_looks_like_the_picture() -> None:
    picture, ratio = _decoded(thumbhash(photos.scene()))
    assert 1.2 < ratio < 2
    quarters = {
        "top-left": picture[4:12, 4:12], "top-right": picture[4:12, 20:28],
        "bottom-left": picture[20:28, 4:12], "bottom-right": picture[20:28, 20:28],
    }  # fmt: skip
    for name, part in quarters.items():
        found = part.reshape(-1, 4).mean(0)[:3] * 255
        assert np.abs(found - photos.CORNERS[name]).max() < 70, name
    assert picture[:, :, 3].min() == 1


def test_the_placeholder_knows_transparency() -> None:
    picture = photos.scene().convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    decoded, _ = _decoded(thumbhash(picture))
    assert decoded[2, :, 3].mean() < 0.3
    assert decoded[-2, :, 3].mean() > 0.7


def test_the_placeholder_of_a_known_picture() -> None:
    """One colour: the bytes can be worked out by hand."""
    data = base64.b64decode(thumbhash(Image.new("RGB", (30, 30), (255, 0, 0))))
    head = int.from_bytes(data[:3], "little")
    assert head & 63 == 21  # lightness 1/3 of 63
    assert head >> 6 & 63 == 47  # yellow-blue 1/2
    assert head >> 12 & 63 == 63  # red-green 1
    assert head >> 18 == 0  # no detail, opaque
    assert int.from_bytes(data[3:5], "little") & 7 == 7


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (33, 32)])
def test_pictures_of_any_shape(size: tuple[int, int]) -> None:
    developed = develop(photos.jpeg(photos.scene(*size)))
    assert developed.placeholder
    assert len(developed.fingerprint) == 16
    assert developed.dominant_colour.startswith("#")


def test_the_dominant_colour() -> None:
    image = Image.new("RGB", (100, 100), (20, 90, 200))
    image.paste((250, 250, 250), (0, 0, 100, 30))
    assert dominant_colour(image) == "#145ac8"
    assert dominant_colour(Image.new("L", (10, 10), 128)) == "#808080"


def test_a_recipes_version_changes_with_anything_that_decides_the_bytes() -> None:
    recipe = Recipe()
    assert recipe.version == Recipe().version
    others = [
        replace(recipe, renditions=(RenditionSpec("thumb", 257),)),
        replace(recipe, formats=(OutputFormat.JPEG,)),
        replace(
            recipe,
            renditions=tuple(
                replace(spec, jpeg_flavour=JpegFlavour.PROGRESSIVE) for spec in recipe.renditions
            ),
        ),
        replace(recipe, jpeg_quality=81),
        replace(recipe, webp_quality=81),
        replace(recipe, webp_method=3),
        replace(recipe, avif_quality=61),
        replace(recipe, avif_speed=9),
    ]
    assert len({r.version for r in (recipe, *others)}) == len(others) + 1


def test_the_same_source_gives_the_same_bytes() -> None:
    source = photos.jpeg(photos.scene(600, 400))
    assert develop(source) == develop(source)
