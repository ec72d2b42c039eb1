"""What to show before a picture is loaded: ThumbHash, a picture in about 25 bytes, and the dominant
colour.

ThumbHash is Evan Wallace's (https://evanw.github.io/thumbhash/): a few cosine terms of lightness,
of two colour differences and, if need be, of opacity, four bits each.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from math import cos, floor, pi
from operator import mul

from PIL import Image

_DOMINANT_EDGE_PIXELS, _DOMINANT_COLOURS = 64, 8
# The format allows 100; the seven terms a row at most are settled by far fewer pixels.
_LONG_EDGE_PIXELS = 32


def thumbhash(image: Image.Image) -> str:
    """The ThumbHash of `image` (L, RGB or RGBA, in sRGB), in base64."""
    small = _small(image)
    width, height = small.size
    channels, has_alpha = _channels(small)
    terms_max = 5 if has_alpha else 7
    longest = max(width, height)
    across = max(1, _round(terms_max * width / longest))
    down = max(1, _round(terms_max * height / longest))
    lightness = _Terms(channels[0], width, height, max(3, across), max(3, down))
    yellow_blue = _Terms(channels[1], width, height, 3, 3)
    red_green = _Terms(channels[2], width, height, 3, 3)
    landscape = width > height
    head = (
        _round(63 * lightness.mean)
        | _round(31.5 + 31.5 * yellow_blue.mean) << 6
        | _round(31.5 + 31.5 * red_green.mean) << 12
        | _round(31 * lightness.scale) << 18
        | has_alpha << 23
    )
    second = (
        (down if landscape else across)
        | _round(63 * yellow_blue.scale) << 3
        | _round(63 * red_green.scale) << 9
        | landscape << 15
    )
    data = bytearray(head.to_bytes(3, "little") + second.to_bytes(2, "little"))
    terms = [lightness, yellow_blue, red_green]
    if has_alpha:
        opacity = _Terms(channels[3], width, height, 5, 5)
        data.append(_round(15 * opacity.mean) | _round(15 * opacity.scale) << 4)
        terms.append(opacity)
    nibbles = [_round(15 * term) for channel in terms for term in channel.normalised()]
    nibbles += [0] * (len(nibbles) & 1)
    data += bytes(a | b << 4 for a, b in zip(nibbles[::2], nibbles[1::2], strict=True))
    return base64.b64encode(data).decode("ascii")


def _small(image: Image.Image) -> Image.Image:
    factor = _LONG_EDGE_PIXELS / max(image.size)
    if factor < 1:
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.BOX)
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _channels(image: Image.Image) -> tuple[tuple[Sequence[float], ...], bool]:
    """Lightness, yellow-blue, red-green and opacity of each pixel; opaque pictures have no use for
    the last. What is transparent counts as the average colour."""
    bands = [list(band.tobytes()) for band in image.split()]
    if len(bands) == 3:
        bands.append([255] * len(bands[0]))
    opacity = [a / 255 for a in bands[3]]
    visible = sum(opacity)
    has_alpha = visible < len(opacity)
    colours: list[list[float]] = []
    for band in bands[:3]:
        weighted = [value / 255 * a for value, a in zip(band, opacity, strict=True)]
        average = sum(weighted) / visible if visible else 0.0
        colours.append([average * (1 - a) + v for v, a in zip(weighted, opacity, strict=True)])
    r, g, b = colours
    lightness = [(x + y + z) / 3 for x, y, z in zip(r, g, b, strict=True)]
    yellow_blue = [(x + y) / 2 - z for x, y, z in zip(r, g, b, strict=True)]
    red_green = [x - y for x, y in zip(r, g, strict=True)]
    return (lightness, yellow_blue, red_green, opacity), has_alpha


class _Terms:
    """The low cosine terms of one channel: their mean, the largest, and the triangle of the rest.

    Rows first, then columns: the transform is separable.
    """

    def __init__(
        self, values: Sequence[float], width: int, height: int, across: int, down: int
    ) -> None:
        by_x = [[cos(pi / width * u * (x + 0.5)) for x in range(width)] for u in range(across)]
        by_y = [[cos(pi / height * v * (y + 0.5)) for y in range(height)] for v in range(down)]
        rows = [values[y * width : (y + 1) * width] for y in range(height)]
        partial = [[_dot(row, wave) for row in rows] for wave in by_x]
        self.rest: list[float] = []
        self.mean = 0.0
        for v in range(down):
            u = 0
            while u * down < across * (down - v):
                term = _dot(partial[u], by_y[v]) / (width * height)
                if u or v:
                    self.rest.append(term)
                else:
                    self.mean = term
                u += 1
        self.scale = max(map(abs, self.rest), default=0.0)

    def normalised(self) -> list[float]:
        """The rest as 0..1 of the scale."""
        if not self.scale:
            return [0.0] * len(self.rest)
        return [0.5 + 0.5 / self.scale * term for term in self.rest]


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    total: float = sum(map(mul, a, b))
    return total


def _round(value: float) -> int:
    return floor(value + 0.5)


def dominant_colour(image: Image.Image) -> str:
    """The most frequent of eight representative colours of `image` (L or RGB), as "#rrggbb"."""
    small = image.convert("RGB")
    if max(small.size) > _DOMINANT_EDGE_PIXELS:
        small.thumbnail((_DOMINANT_EDGE_PIXELS, _DOMINANT_EDGE_PIXELS), Image.Resampling.BOX)
    reduced = small.quantize(_DOMINANT_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    counts = reduced.histogram()
    index = max(range(_DOMINANT_COLOURS), key=lambda i: counts[i])
    palette = reduced.getpalette() or [0, 0, 0]
    red, green, blue = palette[3 * index : 3 * index + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"
