"""The colour that a picture has most of."""

from __future__ import annotations

from PIL import Image

_EDGE_PIXELS = 64
_COLOURS = 8


def dominant_colour(image: Image.Image) -> str:
    """The most frequent of eight representative colours of `image` (L or RGB), as "#rrggbb"."""
    small = image.convert("RGB")
    if max(small.size) > _EDGE_PIXELS:
        small.thumbnail((_EDGE_PIXELS, _EDGE_PIXELS), Image.Resampling.BOX)
    reduced = small.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    counts = reduced.histogram()
    index = max(range(_COLOURS), key=lambda i: counts[i])
    palette = reduced.getpalette() or [0, 0, 0]
    red, green, blue = palette[3 * index : 3 * index + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"
