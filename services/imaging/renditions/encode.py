"""What every rendition format shares.

Nothing but pixels goes into a rendition: no EXIF, XMP, IPTC, GPS or comment, and no ICC profile,
because every rendition is sRGB and untagged pictures are shown as sRGB (CSS Color 4 and HTML say so
for images).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from services.imaging.model import Recipe, RenditionSpec

_WHITE = (255, 255, 255)


class AnimationWriter(Protocol):
    """Writes one animation, frame by frame."""

    def add(self, frame: Image.Image, milliseconds: int) -> None:
        """Adds `frame`, which must have the animation's size, shown for `milliseconds`."""

    def finish(self) -> bytes:
        """Gives the file."""
        ...


@dataclass(frozen=True)
class RenditionFormat:
    """Everything the pipeline knows about a rendition format.

    `encode` takes a picture (L, RGB or RGBA, in sRGB). `animate` starts an animation of a size
    that is shown a number of times (0: without end); None if the format holds stills only.
    """

    encode: Callable[[Image.Image, Recipe, RenditionSpec], bytes]
    animate: Callable[[tuple[int, int], int, Recipe], AnimationWriter] | None = None


def saved(image: Image.Image, format_name: str, **options: Any) -> bytes:
    """`image` as a file of the format that Pillow calls `format_name`, without metadata."""
    out = io.BytesIO()
    # Encoders take profiles, EXIF and comments from `info` unless options say otherwise.
    image.info = {}
    image.save(out, format=format_name, **options)
    return out.getvalue()


def flat(image: Image.Image) -> Image.Image:
    """`image` without transparency, on white."""
    if image.mode != "RGBA":
        return image
    background = Image.new("RGB", image.size, _WHITE)
    background.paste(image, mask=image.getchannel("A"))
    return background
