"""Sizes, and making pictures smaller."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from cykooz_resizer import Resizer

# The modes of developed pictures that the resizer works on, in Pillow's own memory.
_RESIZER_MODES = frozenset({"L", "RGB", "RGBA", "CMYK"})
# Between its two passes the resizer keeps all lines of the picture at their new width. In strips of
# so many lines of the result it keeps 5 MiB instead of 24 (12 megapixels to 2048 pixels), in the
# same time. Not with transparency: each strip would multiply the whole picture by it.
_STRIP_MODES = frozenset({"RGB", "CMYK"})
_STRIP_LINES = 256
# For the other modes: average whole pixels first where the picture is at least twice too large.
_REDUCING_GAP = 1.0


def fit(size: tuple[int, int], long_edge_pixels: int) -> tuple[int, int]:
    """The size whose long edge is at most `long_edge_pixels`, in the same proportions; never larger
    than `size`, never thinner than one pixel."""
    longest = max(size)
    if longest <= long_edge_pixels:
        return size
    width, height = (max(1, round(edge * long_edge_pixels / longest)) for edge in size)
    return width, height


def shrink(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`image` at `size`, which must not be larger, by Lanczos over three lobes.

    Edges of transparent parts keep their colour, as RGBA is resized premultiplied. Modes that the
    resizer does not know are resized by Pillow.
    """
    if image.size == size:
        return image
    if image.mode not in _RESIZER_MODES:
        return image.resize(size, Image.Resampling.HAMMING, reducing_gap=_REDUCING_GAP)
    resized = Image.new(image.mode, size)
    strip_lines = _STRIP_LINES if image.mode in _STRIP_MODES else size[1]
    for top in range(0, size[1], strip_lines):
        _resize_strip(image, resized, top, min(strip_lines, size[1] - top))
    return resized


def _resize_strip(image: Image.Image, resized: Image.Image, top: int, lines: int) -> None:
    """Resizes what makes `lines` lines of `resized` from line `top` on. They are those of the
    whole, to the rounding: the filter reads the lines beyond the strip too."""
    from cykooz_resizer import (  # here: a cold start needs none of it
        CropBox,
        FilterType,
        ResizeAlg,
        ResizeOptions,
    )

    step = image.height / resized.height
    box_top = top * step
    # Rounding must not take the box beyond the picture.
    box_height = min(lines * step, image.height - box_top)
    options = ResizeOptions(
        ResizeAlg.convolution(FilterType.lanczos3),
        crop_box=CropBox(0, box_top, image.width, box_height),
    )
    if lines == resized.height:
        _resizer().resize_pil(image, resized, options)
        return
    strip = Image.new(image.mode, (resized.width, lines))
    _resizer().resize_pil(image, strip, options)
    resized.paste(strip, (0, top))


@cache
def _resizer() -> Resizer:
    from cykooz_resizer import Resizer

    return Resizer()
