"""AVIF renditions. Transparency is kept."""

from __future__ import annotations

from PIL import Image

from services.imaging.model import Recipe, RenditionSpec
from services.imaging.renditions.encode import RenditionFormat, saved


def encode(image: Image.Image, recipe: Recipe, spec: RenditionSpec) -> bytes:  # noqa: ARG001
    """`image` (L, RGB or RGBA) as an AVIF file."""
    from PIL import AvifImagePlugin

    return saved(
        image, AvifImagePlugin.AvifImageFile.format,
        quality=recipe.avif_quality, speed=recipe.avif_speed, max_threads=1,
    )  # fmt: skip


FORMAT = RenditionFormat(encode)
