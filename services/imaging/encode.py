"""Writes renditions. Nothing but pixels goes in: no EXIF, XMP, IPTC, GPS or comment, and no ICC
profile, because every rendition is sRGB and untagged pictures are shown as sRGB (CSS Color 4 and
HTML say so for images)."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from services.imaging.model import OutputFormat, Recipe

_WHITE = (255, 255, 255)


def encode(image: Image.Image, output: OutputFormat, recipe: Recipe) -> bytes:
    """`image` (L, RGB or RGBA, in sRGB) as a file of format `output`.

    JPEG is progressive, 4:2:0, transparency on white; WebP and AVIF keep transparency.
    """
    out = io.BytesIO()
    image = _bare(image)
    match output:
        case OutputFormat.JPEG:
            _save_jpeg(flat(image), out, recipe)
        case OutputFormat.WEBP:
            from PIL import WebPImagePlugin

            _save(
                image, out, WebPImagePlugin.WebPImageFile.format,
                quality=recipe.webp_quality, method=recipe.webp_method,
            )  # fmt: skip
        case OutputFormat.AVIF:
            from PIL import AvifImagePlugin

            _save(
                image, out, AvifImagePlugin.AvifImageFile.format,
                quality=recipe.avif_quality, speed=recipe.avif_speed, max_threads=1,
            )  # fmt: skip
    return out.getvalue()


def flat(image: Image.Image) -> Image.Image:
    """`image` without transparency, on white."""
    if image.mode != "RGBA":
        return image
    background = Image.new("RGB", image.size, _WHITE)
    background.paste(image, mask=image.getchannel("A"))
    return background


def _save_jpeg(image: Image.Image, out: io.BytesIO, recipe: Recipe) -> None:
    from PIL import JpegImagePlugin

    _save(
        image, out, JpegImagePlugin.JpegImageFile.format,
        quality=recipe.jpeg_quality, progressive=True, subsampling="4:2:0",
    )  # fmt: skip


def _save(image: Image.Image, out: io.BytesIO, name: str, **options: Any) -> None:
    image.save(out, format=name, **options)


def _bare(image: Image.Image) -> Image.Image:
    # Encoders take profiles, EXIF and comments from `info` where they are not told otherwise.
    image.info = {}
    return image
