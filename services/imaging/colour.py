"""Brings pictures to sRGB.

By the photo's ICC profile where there is one, with littleCMS and perceptual intent (the profile's
default for photographs, ICC.1:2022 6.2). Without one: RGB and grey are taken as sRGB, as HTML and
every viewer do; CMYK by the plain formula, as nothing is known about the inks.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image

from services.imaging import icc

Convert = Callable[[Image.Image], Image.Image]

_SPACES = {"L": "GRAY", "RGB": "RGB ", "RGBA": "RGB ", "CMYK": "CMYK", "LAB": "Lab "}


def to_srgb(profile_bytes: bytes | None) -> Convert:
    """A conversion for pictures that carry this profile; made once, used for every frame.

    It takes L, RGB, RGBA, CMYK and LAB and gives L, RGB or RGBA. A profile that is broken, or is
    for another kind of picture, is ignored.
    """
    profile = icc.read(profile_bytes)
    transforms: dict[str, Convert] = {}

    def convert(image: Image.Image) -> Image.Image:
        if image.mode not in transforms:
            transforms[image.mode] = _conversion(image.mode, profile, profile_bytes)
        return transforms[image.mode](image)

    return convert


def _conversion(mode: str, profile: icc.Profile | None, profile_bytes: bytes | None) -> Convert:
    if mode == "RGBA" and profile is not None and profile.space == "GRAY":
        return _grey_with_alpha(_conversion("L", profile, profile_bytes))
    usable = profile is not None and profile.space == _SPACES[mode]
    if usable and profile is not None and not profile.is_srgb and profile_bytes:
        managed = _managed(mode, profile_bytes)
        if managed is not None:
            return managed
    if mode == "LAB":
        managed = _managed(mode, None)
        if managed is not None:
            return managed
    if mode in ("CMYK", "LAB"):
        return lambda image: image.convert("RGB")
    return lambda image: image


def _grey_with_alpha(convert: Convert) -> Convert:
    """For grey with transparency, which is decoded to RGBA: the profile is for one channel."""

    def convert_with_alpha(image: Image.Image) -> Image.Image:
        grey = convert(image.getchannel(0)).convert("L")
        return Image.merge("RGBA", (grey, grey, grey, image.getchannel("A")))

    return convert_with_alpha


def _managed(mode: str, profile_bytes: bytes | None) -> Convert | None:
    from PIL import ImageCms  # only here: it loads littleCMS, and most photos are sRGB

    out_mode = "RGBA" if mode == "RGBA" else "RGB"
    try:
        source = (
            ImageCms.ImageCmsProfile(io.BytesIO(profile_bytes))
            if profile_bytes
            else ImageCms.createProfile("LAB")
        )
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, out_mode, ImageCms.Intent.PERCEPTUAL
        )
    except (ImageCms.PyCMSError, OSError):
        return None  # a profile that littleCMS cannot use

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        if converted is None:
            raise RuntimeError("littleCMS gave no picture")
        return converted.convert("L") if mode == "L" else converted

    return convert
