"""Brings pictures into the colours of the lab's printer.

In one step from the photo's own profile to the printer's: by way of sRGB, a photo in Display P3 or
Adobe RGB would lose what paper can show and sRGB cannot.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

from services.imaging import icc
from services.imaging.printing.model import PrintSpec

if TYPE_CHECKING:
    from PIL import ImageCms

_SPACES = {"L": "GRAY", "RGB": "RGB "}
_OUT_MODES = {"RGB ": "RGB", "CMYK": "CMYK"}
# Where the header of an ICC profile says when it was made, and has its checksum (ICC.1:2022 7.2).
# The date of the standard: a constant, so that files are the same on every run.
_MADE, _MADE_AT = slice(24, 36), b"\x07\xe6\x00\x05\x00\x01\x00\x00\x00\x00\x00\x00"
_CHECKSUM, _NO_CHECKSUM = slice(84, 100), bytes(16)


def output_profile(spec: PrintSpec) -> bytes:
    """The profile that the print file carries."""
    return srgb_profile() if spec.profile is None else spec.profile


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, the same bytes every time."""
    from PIL import ImageCms  # only here: it loads littleCMS

    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[_MADE] = _MADE_AT
    data[_CHECKSUM] = _NO_CHECKSUM
    return bytes(data)


def to_output(image: Image.Image, profile_bytes: bytes | None, spec: PrintSpec) -> Image.Image:
    """`image` (L or RGB, with its own profile or none) as RGB or CMYK in the output profile.

    Without a profile, or with one that is broken or for another kind of picture, sRGB is assumed.
    Raises ValueError where the output profile cannot be printed with.
    """
    source = _usable(profile_bytes, image.mode)
    if source is None:
        image = image.convert("RGB")  # grey without a profile is sRGB, too
    target = icc.read(output_profile(spec))
    if source is None and target is not None and target.is_srgb:
        return image
    transform = _transform(source, image.mode, spec)
    if transform is None:  # littleCMS cannot use the photo's profile
        return to_output(image, None, spec)
    from PIL import ImageCms

    converted = ImageCms.applyTransform(image, transform)
    if converted is None:
        raise RuntimeError("littleCMS gave no picture")
    return converted


def _usable(profile_bytes: bytes | None, mode: str) -> bytes | None:
    """The profile, if it is one for such a picture and is not sRGB anyway."""
    profile = icc.read(profile_bytes)
    if profile is None or profile.space != _SPACES[mode] or profile.is_srgb:
        return None
    return profile_bytes


def _transform(
    source: bytes | None, mode: str, spec: PrintSpec
) -> ImageCms.ImageCmsTransform | None:
    from PIL import ImageCms

    output = output_profile(spec)
    flags = ImageCms.Flags.NONE
    if spec.black_point_compensation:
        flags |= ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(source or srgb_profile())),
            ImageCms.ImageCmsProfile(io.BytesIO(output)),
            mode,
            _OUT_MODES[output[16:20].decode("latin-1")],
            ImageCms.Intent(spec.intent.value),
            flags,
        )
    except (ImageCms.PyCMSError, OSError) as error:
        if source is not None:
            return None
        raise ValueError(
            f"expected an output profile that can be printed with, got one that littleCMS refuses "
            f"({error}); take the printer's profile as published by its maker"
        ) from error
