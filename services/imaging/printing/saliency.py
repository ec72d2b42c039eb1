"""Finds the part of a photo that people look at first, for prints without a chosen focus.

A map of what stands out, on a small copy, from three signs that are cheap and well known:

- edges: detail is where the lens was focused;
- colour that differs from the picture's average and is strong (Achanta, Hemami, Estrada, Süsstrunk,
  "Frequency-tuned Salient Region Detection", CVPR 2009: distance from the mean colour in Lab);
- skin: people matter most. By chroma alone, which skin of every tone shares (Chai and Ngan, "Face
  Segmentation Using Skin-Color Map in Videophone Applications", IEEE TCSVT 9(4), 1999).

Adding up such signs and taking the crop with the highest sum is the idea of smartcrop.js (Jonas
Wagner, 2014), as are its relative weights: skin far above the others. It is no face detector: sand
and wood have the colour of skin, too. The customer can give a focus instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from PIL import Image, ImageChops, ImageFilter

LONG_EDGE_PIXELS = 160

_EDGE_WEIGHT, _COLOUR_WEIGHT, _SKIN_WEIGHT = 1.0, 1.0, 1.5
# Chai and Ngan's bounds, in JPEG's YCbCr; below the least lightness chroma is noise.
_SKIN_CB, _SKIN_CR, _SKIN_Y_MIN = (77, 127), (133, 173), 40
# Crops that hold nearly as much as the best are as good. Of those the one is taken that has the
# subject nearest to its middle: a subject fits into many crops, and looks best away from the edge.
_AS_GOOD = 0.98


def best_offset(small: Image.Image, part: float, *, across: bool) -> float:
    """Where the best crop begins: 0 is at the left (or top) edge of the picture, 1 means that it
    ends at the right (or bottom) edge.

    `small` is an RGB copy of the picture in sRGB, LONG_EDGE_PIXELS long or so. The crop reaches
    over the whole picture in one direction and over `part` (0..1) of it in the other: across it,
    or down it. A picture in which nothing stands out is cropped in the middle.
    """
    profile = _profile(_saliency(small), small.size, across=across)
    length = min(len(profile), max(1, round(part * len(profile))))
    starts = range(len(profile) - length + 1)
    held = _in_each(profile, length)
    if len(starts) == 1 or max(held) <= 0:
        return 0.5
    moments = _in_each([i * value for i, value in enumerate(profile)], length)

    def off_centre(start: int) -> float:
        return abs(moments[start] / held[start] - (start + (length - 1) / 2))

    good = [start for start in starts if held[start] >= max(held) * _AS_GOOD]
    return min(good, key=off_centre) / starts[-1]


def _in_each(values: Sequence[float], length: int) -> list[float]:
    """The sum of every `length` neighbours."""
    sums = [0.0, *accumulate(values)]
    return [last - first for first, last in zip(sums, sums[length:], strict=False)]


def _saliency(small: Image.Image) -> list[float]:
    """How much each pixel stands out, row by row. What is below the average counts nothing, so that
    the ground does not outweigh the subject by its area."""
    edges = _scaled(_edges(small))
    colours = _scaled(_colour_contrast(small))
    skin = _skin(small).tobytes()
    values = [
        _EDGE_WEIGHT * edge + _COLOUR_WEIGHT * colour + _SKIN_WEIGHT * tone / 255
        for edge, colour, tone in zip(edges, colours, skin, strict=True)
    ]
    mean = sum(values) / len(values)
    return [max(0.0, value - mean) for value in values]


def _edges(small: Image.Image) -> Image.Image:
    grey = small.convert("L").filter(ImageFilter.GaussianBlur(1))  # grain is no edge
    # The range within 3 x 3: a gradient without a direction, and without artefacts at the border.
    highest, lowest = grey.filter(ImageFilter.MaxFilter(3)), grey.filter(ImageFilter.MinFilter(3))
    return ImageChops.subtract(highest, lowest)


def _colour_contrast(small: Image.Image) -> Image.Image:
    """The largest difference from the picture's mean in lightness or in either chroma."""
    blurred = small.filter(ImageFilter.GaussianBlur(1)).convert("YCbCr")
    mean = blurred.resize((1, 1), Image.Resampling.BOX).resize(small.size)
    lightness, blue, red = ImageChops.difference(blurred, mean).split()
    return ImageChops.lighter(ImageChops.lighter(blue, red), lightness.point(lambda v: v // 2))


def _skin(small: Image.Image) -> Image.Image:
    lightness, blue, red = small.convert("YCbCr").split()
    return ImageChops.multiply(
        ImageChops.multiply(_between(blue, *_SKIN_CB), _between(red, *_SKIN_CR)),
        _between(lightness, _SKIN_Y_MIN, 255),
    )


def _between(band: Image.Image, low: int, high: int) -> Image.Image:
    return band.point([255 if low <= value <= high else 0 for value in range(256)])


def _scaled(band: Image.Image) -> list[float]:
    """0..1 of the strongest value; a band of next to nothing (noise) is nothing."""
    values = band.tobytes()
    highest = max(values)
    return [value / highest for value in values] if highest > 8 else [0.0] * len(values)


def _profile(values: Sequence[float], size: tuple[int, int], *, across: bool) -> list[float]:
    """The sums of the columns, or of the rows."""
    width, height = size
    if across:
        return [sum(values[x::width]) for x in range(width)]
    return [sum(values[y * width : (y + 1) * width]) for y in range(height)]
