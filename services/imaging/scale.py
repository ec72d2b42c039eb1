"""Sizes, and making pictures smaller."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from cykooz_resizer import ResizeOptions, Resizer

# The modes of developed pictures that the resizer works on, in Pillow's own memory.
_RESIZER_MODES = frozenset({"L", "RGB", "RGBA", "CMYK"})
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
    resizer, options = _resizer()
    resized = Image.new(image.mode, size)
    resizer.resize_pil(image, resized, options)
    return resized


@cache
def _resizer() -> tuple[Resizer, ResizeOptions]:
    from cykooz_resizer import (  # here: a cold start needs none of it
        FilterType,
        ResizeAlg,
        ResizeOptions,
        Resizer,
    )

    return Resizer(), ResizeOptions(ResizeAlg.convolution(FilterType.lanczos3))
