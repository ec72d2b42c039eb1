"""Sizes, and making pictures smaller."""

from __future__ import annotations

from PIL import Image

# Reduce by whole factors first where the picture is at least this many times too large. Against
# Lanczos over the full width it costs a sixth and stays within a level or two (docs/decisions.md).
_REDUCING_GAP = 2.0


def fit(size: tuple[int, int], long_edge_pixels: int) -> tuple[int, int]:
    """The size whose long edge is at most `long_edge_pixels`, in the same proportions; never larger
    than `size`, never thinner than one pixel."""
    longest = max(size)
    if longest <= long_edge_pixels:
        return size
    width, height = (max(1, round(edge * long_edge_pixels / longest)) for edge in size)
    return width, height


def shrink(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """`image` at `size`, which must not be larger. Alpha is weighed in, so edges keep their
    colour (Pillow resizes RGBA premultiplied)."""
    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.HAMMING, reducing_gap=_REDUCING_GAP)
