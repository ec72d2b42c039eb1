"""JPEG renditions: 4:2:0, transparency on white."""

from __future__ import annotations

from PIL import Image

from services.imaging.model import JpegFlavour, Recipe, RenditionSpec
from services.imaging.renditions.encode import RenditionFormat, flat, saved


def encode(image: Image.Image, recipe: Recipe, spec: RenditionSpec) -> bytes:
    """`image` (L, RGB or RGBA) as a JPEG file of the flavour in `spec`."""
    from PIL import JpegImagePlugin

    return saved(
        flat(image), JpegImagePlugin.JpegImageFile.format,
        quality=recipe.jpeg_quality, subsampling="4:2:0", optimize=True,
        progressive=spec.jpeg_flavour is JpegFlavour.PROGRESSIVE,
    )  # fmt: skip


FORMAT = RenditionFormat(encode)
