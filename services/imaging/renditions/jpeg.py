"""JPEG renditions: progressive, 4:2:0, transparency on white."""

from __future__ import annotations

from PIL import Image

from services.imaging.model import Recipe
from services.imaging.renditions.encode import RenditionFormat, flat, saved


def encode(image: Image.Image, recipe: Recipe) -> bytes:
    """`image` (L, RGB or RGBA) as a JPEG file."""
    from PIL import JpegImagePlugin

    return saved(
        flat(image), JpegImagePlugin.JpegImageFile.format,
        quality=recipe.jpeg_quality, progressive=True, subsampling="4:2:0",
    )  # fmt: skip


FORMAT = RenditionFormat(encode)
