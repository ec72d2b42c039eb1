"""Makes the photos that the demo develops: procedural pictures with what real ones bring along.

Camera resolution, sensor noise, EXIF with orientation and GPS; one each of HEIC, CMYK, Display P3,
16-bit PNG, alpha, animation, progressive JPEG and two pictures in one file; and three that must be
rejected: a decompression bomb, a file that broke off, a text that says it is a photo.
Seeded: the same photos in every run.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

Plane = npt.NDArray[np.float32]  # height x width, 0..1
Picture = npt.NDArray[np.float32]  # height x width x 3, 0..1
Colour = tuple[float, float, float]

# Scenes are painted at this width and enlarged: grain and edges of a camera's picture come after.
_CANVAS_PIXELS = 1000
_GRAIN_PIXELS = 1024
_WORKERS = 3


# --- the painter's tools --------------------------------------------------------------------------


@dataclass(frozen=True)
class Canvas:
    """Where a scene is painted: `x` runs 0..1 to the right, `y` 0..1 down."""

    width: int
    height: int
    rng: np.random.Generator

    @property
    def x(self) -> Plane:
        return np.linspace(0, 1, self.width, dtype=np.float32)[None, :].repeat(self.height, 0)

    @property
    def y(self) -> Plane:
        return np.linspace(0, 1, self.height, dtype=np.float32)[:, None].repeat(self.width, 1)

    @property
    def ratio(self) -> float:
        return self.width / self.height

    def clouds(self, cells: int, octaves: int = 5, stretch: float = 1.0) -> Plane:
        """Soft noise, 0..1: `cells` bumps down, `stretch` times wider than high."""
        total: Plane = np.zeros((self.height, self.width), np.float32)
        weight = 1.0
        for _ in range(octaves):
            across = max(2, round(cells * self.ratio / stretch))
            coarse = self.rng.random((max(2, cells), across)).astype(np.float32)
            layer = Image.fromarray(coarse).resize(
                (self.width, self.height), Image.Resampling.BICUBIC
            )
            total += weight * np.asarray(layer)
            weight *= 0.5
            cells *= 2
        low, high = total.min(), total.max()
        return np.asarray((total - low) / (high - low), dtype=np.float32)

    def ridge(self, bumps: int, octaves: int = 7, roughness: float = 0.5) -> Plane:
        """A skyline: one height, -1..1, for every column."""
        line = np.zeros(self.width, np.float32)
        weight = 1.0
        at = np.linspace(0, 1, self.width)
        for _ in range(octaves):
            knots = self.rng.uniform(-1, 1, bumps + 3)
            line += weight * np.interp(at * bumps, np.arange(bumps + 3), knots).astype(np.float32)
            weight *= roughness
            bumps *= 2
        return np.asarray(line / np.abs(line).max(), dtype=np.float32)


def _rgb(text: str) -> Colour:
    return (int(text[:2], 16) / 255, int(text[2:4], 16) / 255, int(text[4:], 16) / 255)


def _sky(y: Plane, stops: Sequence[tuple[float, str]]) -> Picture:
    """A gradient downwards through colours, in light and not in sRGB values, as haze is."""
    at = [s for s, _ in stops]
    channels = [
        np.interp(y, at, [_rgb(colour)[i] ** 2.2 for _, colour in stops]) ** (1 / 2.2)
        for i in range(3)
    ]
    return np.stack(channels, axis=-1).astype(np.float32)


def _blend(picture: Picture, colour: str | Picture, amount: Plane) -> Picture:
    over = np.array(_rgb(colour), np.float32) if isinstance(colour, str) else colour
    weight = amount.clip(0, 1)[:, :, None]
    return np.asarray(picture * (1 - weight) + over * weight, dtype=np.float32)


def _glow(picture: Picture, colour: str, amount: npt.NDArray[Any]) -> Picture:
    """Adds light, as the sun does."""
    light = np.array(_rgb(colour), np.float32) * amount[:, :, None]
    return np.asarray(1 - (1 - picture.clip(0, 1)) * (1 - light.clip(0, 1)), dtype=np.float32)


def _soft(distance: Plane, edge: float) -> Plane:
    """1 inside (negative distance), 0 outside, a soft step of width `edge` between."""
    return np.asarray((0.5 - distance / edge).clip(0, 1), dtype=np.float32)


def _disc(canvas: Canvas, x: float, y: float) -> Plane:
    """The distance from a point, in heights."""
    return np.asarray(np.hypot((canvas.x - x) * canvas.ratio, canvas.y - y), dtype=np.float32)


def _hills(
    canvas: Canvas, picture: Picture, layers: Sequence[tuple[float, float, str, int]], haze: str
) -> Picture:
    """Ridges one behind the other: level, height, colour and bumps of each; haze in the valleys."""
    for level, height, colour, bumps in layers:
        top = level - height * canvas.ridge(bumps)
        below = canvas.y - top[None, :]
        picture = _blend(picture, colour, _soft(-below, 0.0015))
        mist = np.exp(-((canvas.y - level - 0.07) ** 2) / 0.004) * (below > 0)
        picture = _blend(picture, haze, np.asarray(mist * 0.45, dtype=np.float32))
    return picture


def _stars(canvas: Canvas, count: int, lowest: float) -> Picture:
    sky = np.zeros((canvas.height, canvas.width, 3), np.float32)
    x = canvas.rng.integers(1, canvas.width - 1, count)
    y = (canvas.rng.random(count) ** 1.2 * lowest * canvas.height).astype(int)
    bright = canvas.rng.pareto(2.2, count).clip(0, 6) / 6
    warm = canvas.rng.random((count, 1))
    tint = np.array([0.75, 0.85, 1.0]) * (1 - warm) + np.array([1.0, 0.86, 0.7]) * warm
    np.maximum.at(sky, (y, x), (0.25 + 1.6 * bright)[:, None].astype(np.float32) * tint)
    reach = 7
    around = np.arange(-reach, reach + 1)
    halo = np.exp(-(around[:, None] ** 2 + around[None, :] ** 2) / 6.0).astype(np.float32)
    for i in np.flatnonzero(bright > 0.35):
        rows = slice(max(0, y[i] - reach), y[i] + reach + 1)
        columns = slice(max(0, x[i] - reach), x[i] + reach + 1)
        part = sky[rows, columns]
        part += halo[: part.shape[0], : part.shape[1], None] * (tint[i] * 0.8 * bright[i])
    return sky.clip(0, 1)


# --- the scenes -----------------------------------------------------------------------------------


def _dusk_hills(canvas: Canvas) -> Picture:
    picture = _sky(
        canvas.y,
        [(0, "1b2a55"), (0.25, "5a4a86"), (0.42, "d0688a"), (0.55, "ffb070"), (1, "ffdfa0")],
    )
    wisps = canvas.clouds(5, 6, stretch=5)
    band = np.exp(-((canvas.y - 0.3) ** 2) / 0.02)
    picture = _blend(picture, "ff9a7a", ((wisps - 0.5) * 2.2).clip(0, 1) * band * 0.7)
    sun = _disc(canvas, 0.64, 0.5)
    picture = _glow(picture, "ffb060", np.exp(-sun * 5) * np.float32(0.8))
    picture = _glow(picture, "fff0c8", _soft(sun - 0.045, 0.004))
    layers = [
        (0.58, 0.05, "b0708f", 4), (0.64, 0.06, "8a5a86", 4), (0.72, 0.06, "5f4574", 5),
        (0.81, 0.07, "3d315c", 5), (0.93, 0.08, "1b1a38", 6),
    ]  # fmt: skip
    return _hills(canvas, picture, layers, "ffb890")


def _mountain_morning(canvas: Canvas) -> Picture:
    picture = _sky(canvas.y, [(0, "4f86c0"), (0.35, "a8cfe4"), (0.55, "fbe9d0"), (1, "fff6e6")])
    clouds = canvas.clouds(4, 6, stretch=3)
    picture = _blend(picture, "ffffff", ((clouds - 0.52) * 3).clip(0, 1) * (1 - canvas.y) * 0.9)
    layers = [
        (0.50, 0.13, "b9cbd8", 3), (0.58, 0.12, "8fa9bd", 3), (0.68, 0.09, "5f8292", 4),
        (0.78, 0.07, "3b6166", 5), (0.90, 0.06, "1d3f3c", 7),
    ]  # fmt: skip
    return _hills(canvas, picture, layers, "f4efe4")


def _sunset_sea(canvas: Canvas) -> Picture:
    horizon = 0.52
    stops = [(0, "243b6b"), (0.2, "6a5a92"), (0.38, "f0866a"), (0.52, "ffd08a")]
    picture = _sky(canvas.y, stops)
    clouds = canvas.clouds(4, 6, stretch=7)
    lit = ((clouds - 0.5) * 3).clip(0, 1) * np.exp(-((canvas.y - 0.24) ** 2) / 0.012)
    picture = _blend(picture, "ff7f66", lit * 0.85)
    sun = _disc(canvas, 0.4, horizon - 0.035)
    picture = _glow(picture, "ff9a50", np.exp(-sun * 4.5) * 0.8)
    picture = _glow(picture, "fff2cc", _soft(sun - 0.055, 0.004))
    mirrored = _sky(2 * horizon - canvas.y, stops)
    depth = ((canvas.y - horizon) / (1 - horizon)).clip(0, 1)
    water = _blend(mirrored * 0.72, "0d2440", np.asarray(depth**0.8 * 0.85, dtype=np.float32))
    swell = canvas.clouds(40, 3, stretch=9) + 0.6 * canvas.clouds(90, 2, stretch=12)
    swell = (swell - swell.mean()) / swell.std()
    water = _blend(water, "ffc890", (swell * 0.10 * (1 - depth)).clip(0, 1))
    water = _blend(water, "06162c", (-swell * 0.14 * (0.4 + depth)).clip(0, 1))
    path = np.exp(-(((canvas.x - 0.4) / (0.03 + 0.13 * depth)) ** 2)) * (
        swell > 0.15 - 0.4 * (1 - depth)
    )
    water = _glow(water, "ffd890", np.asarray(path * (0.95 - 0.45 * depth), dtype=np.float32))
    return _blend(picture, water, _soft(horizon - canvas.y, 0.002))


def _night_sky(canvas: Canvas) -> Picture:
    picture = _sky(canvas.y, [(0, "050a1e"), (0.55, "12234a"), (0.8, "2a4a6a"), (1, "e8a070")])
    along = (canvas.x - 0.1) * 0.75 + (canvas.y - 0.75)
    dust = canvas.clouds(5, 7)
    band = np.exp(-(along**2) / 0.022) * (0.35 + 0.9 * dust)
    picture = _glow(picture, "9a8fc8", np.asarray(band * 0.55, dtype=np.float32))
    picture = _glow(
        picture, "ffd8b0", np.asarray(np.exp(-(along**2) / 0.004) * dust**2 * 0.4, dtype=np.float32)
    )
    lanes = np.exp(-((along + 0.03 * (dust - 0.5)) ** 2) / 0.0016) * (canvas.clouds(9, 6) > 0.52)
    picture = _blend(picture, "0a1024", np.asarray(lanes * 0.55, dtype=np.float32))
    stars = _stars(canvas, 5200, 0.95)
    picture = np.asarray(1 - (1 - picture) * (1 - stars), dtype=np.float32)
    layers = [(0.84, 0.05, "16233c", 4), (0.92, 0.05, "070c18", 9)]
    picture = _hills(canvas, picture, layers, "24406a")
    return _trees(canvas, picture, 0.95, "03060c", 120, 0.11)


def _trees(
    canvas: Canvas, picture: Picture, ground: float, colour: str, count: int, height: float
) -> Picture:
    """A row of firs, each a narrow jagged triangle."""
    top = np.full(canvas.width, ground, np.float32)
    columns = np.arange(canvas.width)
    for middle in canvas.rng.uniform(0, canvas.width, count):
        tall = height * canvas.rng.uniform(0.35, 1.0)
        half = tall * canvas.height * 0.2
        away = np.abs(columns - middle)
        jagged = 0.72 + 0.28 * ((away / max(half, 1) * 7) % 1)
        tree = ground - tall * (1 - away / half / jagged).clip(0, 1)
        top = np.minimum(top, np.where(away < half, tree, ground))
    return _blend(picture, colour, _soft(top[None, :] - canvas.y, 0.002))


def _misty_forest(canvas: Canvas) -> Picture:
    picture = _sky(canvas.y, [(0, "c8dcd8"), (0.5, "dfe9e0"), (1, "9ab8b0")])
    sun = _disc(canvas, 0.7, 0.18)
    picture = _glow(picture, "fff4d0", np.exp(-sun * 4) * 0.7)
    rows = [
        (0.52, "a4c0ba", 90, 0.20), (0.64, "7ea39e", 80, 0.26), (0.78, "537d7b", 60, 0.34),
        (0.92, "2c5354", 44, 0.44), (1.08, "0f2c30", 26, 0.62),
    ]  # fmt: skip
    for ground, colour, count, height in rows:
        picture = _trees(canvas, picture, ground, colour, count, height)
        mist = np.exp(-((canvas.y - ground) ** 2) / 0.008) * (0.3 + 0.7 * canvas.clouds(3, 4, 4))
        picture = _blend(picture, "dfeae4", np.asarray(mist * 0.75, dtype=np.float32))
    return picture


def _dunes(canvas: Canvas, light: str = "f4c078", dark: str = "7a3b28") -> Picture:
    picture = _sky(canvas.y, [(0, "3f77b5"), (0.35, "bcd8e8"), (0.45, "fbe6c8")])
    for level, height in ((0.36, 0.05), (0.44, 0.08), (0.56, 0.12), (0.74, 0.18)):
        waves = [canvas.rng.uniform(0, 6.3) + canvas.x[0] * n for n in (2.6, 5.3, 9.1)]
        crest = level - height * (
            0.62 * np.sin(waves[0]) + 0.28 * np.sin(waves[1]) + 0.1 * np.sin(waves[2])
        ).astype(np.float32)
        below = canvas.y - crest[None, :]
        slope = np.gradient(crest) * canvas.width
        lean = canvas.x + below * (0.9 + 0.5 * np.sin(canvas.x * 9 + level * 20))
        shade = 0.5 + 0.5 * np.tanh(slope[None, :] * 0.9 + 1.5 * np.sin(lean * 5 + level * 31))
        ripples = 0.05 * np.sin((below * 260 + canvas.clouds(5, 3) * 34) / (0.6 + 2 * level))
        sand = _blend(
            np.zeros_like(picture) + np.array(_rgb(dark), np.float32), light, shade + ripples
        )
        picture = _blend(picture, sand, _soft(-below, 0.0015))
        far = np.asarray(
            np.exp(-below.clip(0, 1) * 9) * (below > 0) * (0.9 - level), dtype=np.float32
        )
        picture = _blend(picture, "fbe6c8", far * 0.6)
    return picture


def _violet_dunes(canvas: Canvas) -> Picture:
    return _dunes(canvas, "e8b0c8", "3a2a66")


def _city_lights(canvas: Canvas) -> Picture:
    picture = _sky(canvas.y, [(0, "0a1030"), (0.4, "2a2a60"), (0.62, "a0507a"), (0.75, "ff9a6a")])
    for depth, colour in ((0.0, "3a2f5c"), (0.5, "211d42"), (1.0, "0c0c22")):
        left = 0
        while left < canvas.width:
            wide = int(canvas.rng.uniform(0.03, 0.075) * canvas.width)
            top = int(canvas.height * (canvas.rng.uniform(0.34, 0.6) + 0.13 * depth))
            block = picture[top:, left : left + wide]
            block[:] = np.array(_rgb(colour), np.float32)
            step = 9 + int(5 * depth)
            for row in range(top + 8, int(canvas.height * 0.9), step):
                lit = canvas.rng.random(max(1, wide // step)) < 0.22 + 0.2 * depth
                for column in np.flatnonzero(lit):
                    at = left + 4 + column * step
                    warm = canvas.rng.random()
                    glow = (1.0, 0.72 + 0.2 * warm, 0.36 + 0.45 * warm)
                    picture[row : row + step // 2, at : min(at + step // 2, left + wide - 2)] = glow
            left += wide + int(canvas.rng.uniform(0, 0.01) * canvas.width)
    for _ in range(46):
        x, y = canvas.rng.random(), canvas.rng.uniform(0.72, 1.0)
        size = canvas.rng.uniform(0.015, 0.05)
        colour = str(canvas.rng.choice(["ffb060", "ff6a5a", "7ad0ff", "ffe0a0", "c08aff"]))
        away = _disc(canvas, x, y)
        rim = 0.75 + 0.25 * np.exp(-((away - size) ** 2) / 0.00002)
        picture = _glow(picture, colour, _soft(away - size, 0.004) * rim.astype(np.float32) * 0.5)
    return picture


def _aurora(canvas: Canvas) -> Picture:
    picture = _sky(canvas.y, [(0, "04081a"), (0.6, "0c2038"), (1, "123040")])
    picture = np.asarray(1 - (1 - picture) * (1 - _stars(canvas, 2200, 0.7)), dtype=np.float32)
    for base, colour, phase in (
        (0.52, "40ffa0", 0.0),
        (0.46, "30e0c0", 2.0),
        (0.40, "b060ff", 4.0),
    ):
        fold = base + 0.09 * np.sin(canvas.x * 5 + phase) + 0.04 * np.sin(canvas.x * 13 + phase)
        rays = 0.35 + 0.65 * canvas.clouds(2, 7, stretch=0.05)[:1].repeat(canvas.height, 0)
        above = fold - canvas.y
        curtain = np.where(above > 0, np.exp(-above * 5), np.exp(above * 45)) * rays
        picture = _glow(picture, colour, np.asarray(curtain * 0.6, dtype=np.float32))
    shore = 0.74
    picture = _hills(
        canvas, picture, [(0.70, 0.09, "0a1424", 4), (0.735, 0.03, "050a14", 8)], "14304a"
    )
    mirror = picture[: int(canvas.height * shore)][::-1]
    rows = canvas.height - int(canvas.height * shore)
    water = mirror[:rows].copy() * 0.7
    ripple = (3 * np.sin(np.arange(rows) ** 1.15 * 0.9)).astype(int)
    for row in range(rows):
        water[row] = np.roll(water[row], ripple[row], axis=0)
    picture[-rows:] = water
    return picture


def _flower(canvas: Canvas) -> Picture:
    x, y = (canvas.x - 0.5) * canvas.ratio, canvas.y - 0.52
    angle, away = np.arctan2(y, x), np.hypot(x, y)
    soft = canvas.clouds(3, 3)
    picture = _sky(soft, [(0, "0c3a24"), (0.5, "1d6a3c"), (1, "6ab04a")])
    for ring in range(5, 0, -1):
        petals = 5 + 3 * (ring % 2) + 3
        wave = np.abs(np.cos(angle * petals / 2 + ring * 1.3)) ** 0.6
        edge = 0.085 * ring * (0.62 + 0.38 * wave)
        inside = _soft(np.asarray(away - edge, dtype=np.float32), 0.004)
        veins = 0.06 * np.sin(angle * petals * 7)
        tone = (away / np.maximum(edge, 1e-3)).clip(0, 1) * 0.85 + veins + 0.1 * (soft - 0.5)
        petal = _sky(
            tone.astype(np.float32),
            [(0, "ffd23c"), (0.3, "ff5a1e"), (0.75, "f5143c"), (1, "ff5a8c")],
        )
        shadow = _soft(np.asarray(away - edge - 0.014, dtype=np.float32), 0.03)
        picture = _blend(picture, "3a0614", shadow * 0.35)
        picture = _blend(picture, petal, inside)
    heart = _soft(np.asarray(away - 0.035, dtype=np.float32), 0.01)
    dots = 0.5 + 0.5 * np.sin(x * 420) * np.sin(y * 420)
    return _blend(picture, _sky(dots.astype(np.float32), [(0, "6a3a06"), (1, "ffd24a")]), heart)


def _moonrise(canvas: Canvas) -> Picture:
    picture = _sky(canvas.y, [(0, "0b1636"), (0.5, "2c4c86"), (0.8, "8a8fc0"), (1, "e8b8b0")])
    picture = np.asarray(1 - (1 - picture) * (1 - _stars(canvas, 700, 0.6)), dtype=np.float32)
    moon = _disc(canvas, 0.3, 0.34)
    picture = _glow(picture, "a8c0ff", np.exp(-moon * 6) * 0.5)
    face = _sky(canvas.clouds(14, 4), [(0, "c8c4b8"), (0.45, "f0ece0"), (1, "fffdf4")])
    picture = _blend(picture, face, _soft(moon - 0.1, 0.004))
    clouds = canvas.clouds(5, 7, stretch=3)
    lower = ((canvas.y - 0.45) * 2.2).clip(0, 1)
    picture = _blend(picture, "dfe3f4", ((clouds - 0.45) * 3).clip(0, 1) * lower * 0.85)
    return _hills(canvas, picture, [(0.93, 0.05, "1a2344", 5)], "c0b8d8")


def _sunburst(canvas: Canvas) -> Picture:
    x, y = (canvas.x - 0.5) * canvas.ratio, canvas.y - 0.62
    angle, away = np.arctan2(y, x), np.hypot(x, y)
    rays = (np.sin(angle * 28) > 0).astype(np.float32)
    picture = _sky(away.astype(np.float32), [(0, "fff0c0"), (0.4, "ffc84a"), (0.9, "f07a3c")])
    picture = _blend(picture, "d8452c", rays * 0.55 * away.clip(0.2, 1).astype(np.float32))
    picture = _blend(picture, "fff6dc", _soft(np.asarray(away - 0.16, dtype=np.float32), 0.004))
    layers = [
        (0.70, 0.06, "1d7a86", 3), (0.79, 0.06, "125566", 3), (0.88, 0.05, "0c3648", 4),
    ]  # fmt: skip
    return _hills(canvas, picture, layers, "f0a04a")


# --- from a painting to a photo -------------------------------------------------------------------


def _painting(paint: Callable[[Canvas], Picture], size: tuple[int, int], seed: int) -> Picture:
    width, height = size
    scale = min(1.0, _CANVAS_PIXELS / max(size))
    canvas = Canvas(round(width * scale), round(height * scale), np.random.default_rng(seed))
    return paint(canvas).clip(0, 1)


def _exposed(
    painting: Picture, size: tuple[int, int], seed: int, noise: float = 3.0
) -> Image.Image:
    """The painting at a camera's resolution, with a sensor's grain."""
    small = Image.fromarray((painting * 255 + 0.5).astype(np.uint8))
    large = np.array(small.resize(size, Image.Resampling.BICUBIC))
    rng = np.random.default_rng(seed)
    grain = np.rint(rng.normal(0, noise, (_GRAIN_PIXELS, _GRAIN_PIXELS, 1))).astype(np.int16)
    for top in range(0, size[1], _GRAIN_PIXELS):
        for left in range(0, size[0], _GRAIN_PIXELS):
            part = large[top : top + _GRAIN_PIXELS, left : left + _GRAIN_PIXELS]
            noisy = (
                part
                + np.roll(grain, (top // 7, left // 5), (0, 1))[: part.shape[0], : part.shape[1]]
            )
            part[:] = noisy.clip(0, 255)
    return Image.fromarray(large)


@dataclass(frozen=True)
class _Shot:
    """What the camera writes about a photo. `orientation` is EXIF's 1..8."""

    camera: tuple[str, str]
    lens: str
    exposure: tuple[int, int]
    aperture: float
    iso: int
    focal_length_mm: float
    taken_at: str
    offset: str
    orientation: int = 1
    place: tuple[float, float, float] | None = None

    def exif(self) -> Image.Exif:
        exif = Image.Exif()
        exif[Base.Make], exif[Base.Model] = self.camera
        exif[Base.Orientation] = self.orientation
        exif[Base.Software] = "Darkroom sample photos"
        exif[Base.DateTime] = self.taken_at
        details = exif.get_ifd(IFD.Exif)
        details[Base.ExposureTime] = IFDRational(*self.exposure)
        details[Base.FNumber] = IFDRational(round(self.aperture * 10), 10)
        details[Base.ISOSpeedRatings] = self.iso
        details[Base.DateTimeOriginal] = self.taken_at
        details[Base.OffsetTimeOriginal] = self.offset
        details[Base.FocalLength] = IFDRational(round(self.focal_length_mm * 10), 10)
        details[Base.LensModel] = self.lens
        if self.place:
            latitude, longitude, altitude = self.place
            gps = exif.get_ifd(IFD.GPSInfo)
            gps[GPS.GPSLatitudeRef] = "N" if latitude >= 0 else "S"
            gps[GPS.GPSLatitude] = _sexagesimal(abs(latitude))
            gps[GPS.GPSLongitudeRef] = "E" if longitude >= 0 else "W"
            gps[GPS.GPSLongitude] = _sexagesimal(abs(longitude))
            gps[GPS.GPSAltitudeRef] = b"\0"
            gps[GPS.GPSAltitude] = altitude
        return exif


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes = degrees % 1 * 60
    return (int(degrees), int(minutes), round(minutes % 1 * 60, 2))


_MIRRORLESS = ("Obscura", "Obscura X2")
_PHONE = ("Pinhole", "Pinhole 9 Pro")
_WIDE, _NORMAL, _PHONE_LENS = (
    "OBS 16-35mm F2.8",
    "OBS 50mm F1.4",
    "Pinhole 9 Pro back camera 5.6mm f/1.8",
)

# How the sensor lay for a picture that is meant to be seen upright: what undoes EXIF's turn.
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def _stored(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_STORED[orientation]) if orientation in _STORED else image


def _display_p3() -> bytes:
    """An ICC profile for Display P3: SMPTE EG 432-1 primaries, D65 adapted to D50, sRGB's curve."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(v * 65_536)) for v in values)

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(*values)

    name = b"Display P3\0"
    curve = b"para\0\0\0\0\0\3\0\0" + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">L", len(name)) + name + bytes(79),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.51512, 0.24120, -0.00105), b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.15710, 0.06657, 0.78407), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, body = struct.pack(">L", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">LL", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    kind = (b"mntr", b"RGB ", b"XYZ ")
    head = struct.pack(">L4xL4s4s4s12x4s", size, 0x02400000, *kind, b"acsp")
    return (head.ljust(68, b"\0") + fixed(0.9642, 1.0, 0.8249)).ljust(128, b"\0") + table + body


# --- the photos -----------------------------------------------------------------------------------


def make_sample_photos(folder: Path) -> tuple[Path, ...]:
    """Writes the sample photos into `folder` (made if need be) and gives their paths, in the order
    in which they are to be shown. Deterministic; about ten seconds of work."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str) -> Path:
        path = folder / name
        path.write_bytes(_PHOTOS[name]())
        return path

    # Threads do: Pillow and NumPy let go of the interpreter while they work.
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return tuple(pool.map(write, _PHOTOS))


def _jpeg(
    paint: Callable[[Canvas], Picture],
    size: tuple[int, int],
    seed: int,
    shot: _Shot,
    *,
    quality: int = 90,
    progressive: bool = False,
    icc: bytes | None = None,
    noise: float = 3.0,
) -> bytes:
    image = _exposed(_painting(paint, size, seed), size, seed, noise)
    return _file(
        _stored(image, shot.orientation), "JPEG",
        quality=quality, progressive=progressive, exif=shot.exif(), icc_profile=icc,
    )  # fmt: skip


def _file(image: Image.Image, name: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=name, **options)
    return out.getvalue()


def _hills_at_dusk() -> bytes:
    shot = _Shot(_MIRRORLESS, _WIDE, (1, 60), 8, 100, 24, "2026:10:03 18:52:11", "+02:00",
                 place=(46.5197, 8.0321, 1840.0))  # fmt: skip
    return _jpeg(_dusk_hills, (6000, 4000), 11, shot)


def _phone_sunset() -> bytes:
    shot = _Shot(_PHONE, _PHONE_LENS, (1, 120), 1.8, 64, 5.6, "2026:08:14 20:31:40", "+01:00",
                 orientation=6, place=(38.6979, -9.4215, 4.0))  # fmt: skip
    return _jpeg(_sunset_sea, (3456, 4608), 12, shot, quality=88)


def _milky_way() -> bytes:
    shot = _Shot(_MIRRORLESS, _WIDE, (20, 1), 2.8, 3200, 16, "2026:07:18 01:14:05", "+02:00",
                 orientation=8)  # fmt: skip
    return _jpeg(_night_sky, (3072, 4608), 13, shot, noise=5)


def _forest_heic() -> bytes:
    from pillow_heif.as_plugin import register_heif_opener

    register_heif_opener()
    shot = _Shot(_PHONE, _PHONE_LENS, (1, 250), 1.8, 50, 5.6, "2026:09:27 07:45:33", "+02:00",
                 place=(47.8921, 8.1134, 960.0))  # fmt: skip
    size = (2688, 2016)
    image = _exposed(_painting(_misty_forest, size, 14), size, 14, 1.5)
    return _file(
        image, "HEIF", quality=55, exif=shot.exif().tobytes(), enc_params={"preset": "ultrafast"}
    )


def _dunes_progressive() -> bytes:
    shot = _Shot(_MIRRORLESS, _NORMAL, (1, 800), 5.6, 100, 50, "2026:02:09 16:20:00", "+04:00")
    return _jpeg(_dunes, (4608, 3072), 15, shot, progressive=True)


def _city_upside_down() -> bytes:
    shot = _Shot(_MIRRORLESS, _NORMAL, (1, 30), 1.4, 1600, 50, "2026:11:05 18:10:27", "+09:00",
                 orientation=3, place=(35.6586, 139.7454, 45.0))  # fmt: skip
    return _jpeg(_city_lights, (4608, 3072), 16, shot, noise=5)


def _northern_lights() -> bytes:
    shot = _Shot(_MIRRORLESS, _WIDE, (8, 1), 2.8, 1600, 20, "2026:03:11 23:48:19", "+01:00",
                 orientation=5, place=(69.6492, 18.9553, 12.0))  # fmt: skip
    return _jpeg(_aurora, (4608, 3072), 17, shot, noise=4)


def _flower_p3() -> bytes:
    shot = _Shot(_PHONE, _PHONE_LENS, (1, 500), 1.8, 40, 5.6, "2026:06:21 11:02:54", "+02:00")
    return _jpeg(_flower, (4032, 3024), 18, shot, icc=_display_p3(), noise=2)


def _poster_cmyk() -> bytes:
    size = (3000, 2000)
    image = Image.fromarray((_painting(_sunburst, size, 19) * 255).astype(np.uint8))
    return _file(image.resize(size, Image.Resampling.BICUBIC).convert("CMYK"), "JPEG", quality=90)


def _moon_sixteen_bits() -> bytes:
    size = (1800, 1200)
    painting = _painting(_moonrise, size, 20)
    grain = np.random.default_rng(20).normal(0, 0.004, (*painting.shape[:2], 1))
    samples = ((painting + grain).clip(0, 1) * 65_535).astype(">u2")
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    return _png(width, height, depth=16, kind=2, data=zlib.compress(rows, 1))


def _png(width: int, height: int, depth: int, kind: int, data: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))
        )

    header = struct.pack(">LLBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def _marble_with_alpha() -> bytes:
    edge = 1400
    canvas = Canvas(edge, edge, np.random.default_rng(21))
    away = _disc(canvas, 0.5, 0.46)
    depth = np.sqrt((1 - (away / 0.36) ** 2).clip(0, 1))
    swirl = canvas.clouds(3, 5)
    twist = np.sin(9 * swirl + 6 * np.arctan2(canvas.y - 0.46, canvas.x - 0.5)) * 0.5 + 0.5
    glass = _sky((twist * 0.8 + 0.2 * swirl).astype(np.float32),
                 [(0, "0b2a6a"), (0.35, "1f8ad0"), (0.7, "7af0e0"), (1, "fff2b0")])  # fmt: skip
    glass = np.asarray(glass * (0.35 + 0.65 * depth[:, :, None]), dtype=np.float32)
    glass = _glow(glass, "ffffff", np.exp(-(_disc(canvas, 0.39, 0.31) ** 2) / 0.0028) * 0.95)
    glass = _glow(glass, "c0f0ff", np.exp(-(_disc(canvas, 0.6, 0.66) ** 2) / 0.006) * 0.5)
    ball = _soft(away - 0.36, 0.004)
    shadow = np.exp(-(((canvas.x - 0.52) / 0.3) ** 2 + ((canvas.y - 0.86) / 0.05) ** 2)) * 0.55
    alpha = np.maximum(ball * (0.82 + 0.18 * (1 - depth)), shadow)
    colour = glass * ball[:, :, None]
    pixels = np.dstack([colour, alpha]).clip(0, 1)
    return _file(Image.fromarray((pixels * 255).astype(np.uint8)), "PNG", compress_level=3)


def _lighthouse_gif() -> bytes:
    width, height, count = 480, 320, 18
    canvas = Canvas(width, height, np.random.default_rng(22))
    sky = _sky(canvas.y, [(0, "0c1230"), (0.5, "2c3a6a"), (0.72, "c0708a"), (1, "20345a")])
    sky = np.asarray(1 - (1 - sky) * (1 - _stars(canvas, 160, 0.5)), dtype=np.float32)
    ground = _hills(canvas, sky, [(0.86, 0.06, "101a30", 4)], "6a5a86")
    tower = (np.abs(canvas.x - 0.7) < 0.012 + 0.012 * (canvas.y - 0.4)) & (canvas.y > 0.42)
    ground = _blend(
        ground, "e8e0d8", _soft(-(tower & (canvas.y < 0.88)).astype(np.float32) + 0.5, 0.1)
    )
    angle = np.arctan2(canvas.y - 0.42, (canvas.x - 0.7) * canvas.ratio)
    away = _disc(canvas, 0.7, 0.42)
    frames = []
    for i in range(count):
        turn = 2 * np.pi * i / count
        reach = np.cos(turn)  # towards the viewer and away
        aim = 0.0 if reach > 0 else np.pi
        off = np.abs((angle - aim + np.pi) % (2 * np.pi) - np.pi)
        beam = np.exp(-(off**2) / 0.012) * np.exp(-away * 1.3) * abs(reach)
        lamp = np.exp(-(away**2) / 0.0012) * (0.8 + 0.4 * abs(np.sin(turn)))
        lit = _glow(ground, "ffe8a0", np.asarray(beam * 0.8 + lamp, dtype=np.float32))
        frame = Image.fromarray((lit.clip(0, 1) * 255).astype(np.uint8))
        frames.append(frame.quantize(96, dither=Image.Dither.FLOYDSTEINBERG))
    return _file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=90, loop=0)


def _mountain_stereo() -> bytes:
    size = (3264, 2448)
    shot = _Shot(_PHONE, _PHONE_LENS, (1, 640), 1.8, 40, 5.6, "2026:05:30 08:12:00", "+02:00",
                 orientation=2)  # fmt: skip
    image = _stored(_exposed(_painting(_mountain_morning, size, 23), size, 23, 2), 2)
    other = image.resize((816, 612))
    return _file(
        image, "MPO", save_all=True, append_images=[other], quality=90, exif=shot.exif().tobytes()
    )


def _dunes_webp() -> bytes:
    size = (2400, 1600)
    image = _exposed(_painting(_violet_dunes, size, 24), size, 24, 2)
    return _file(image, "WEBP", quality=88, method=0)


def _bomb() -> bytes:
    width, height = 30_000, 30_000
    packer = zlib.compressobj(1)
    block = bytes((width // 8 + 1) * 1_000)
    data = b"".join(packer.compress(block) for _ in range(height // 1_000)) + packer.flush()
    return _png(width, height, depth=1, kind=0, data=data)


def _broken_off() -> bytes:
    shot = _Shot(_PHONE, _PHONE_LENS, (1, 60), 1.8, 200, 5.6, "2026:11:22 12:00:00", "+01:00")
    whole = _jpeg(_dusk_hills, (2400, 1600), 25, shot)
    return whole[: len(whole) * 3 // 5]


def _letter() -> bytes:
    return b"Dear lab,\n\nthis is a letter and no photo, whatever its name says.\n" * 8


_PHOTOS: dict[str, Callable[[], bytes]] = {
    "01-hills-at-dusk.jpg": _hills_at_dusk,
    "02-sunset-upright.jpg": _phone_sunset,
    "03-milky-way.jpg": _milky_way,
    "04-forest.heic": _forest_heic,
    "05-dunes-progressive.jpg": _dunes_progressive,
    "06-city-upside-down.jpg": _city_upside_down,
    "07-northern-lights.jpg": _northern_lights,
    "08-flower-display-p3.jpg": _flower_p3,
    "09-poster-cmyk.jpg": _poster_cmyk,
    "10-moon-16-bit.png": _moon_sixteen_bits,
    "11-marble-alpha.png": _marble_with_alpha,
    "12-lighthouse.gif": _lighthouse_gif,
    "13-mountains-mpo.jpg": _mountain_stereo,
    "14-violet-dunes.webp": _dunes_webp,
    "15-bomb.png": _bomb,
    "16-broken-off.jpg": _broken_off,
    "17-letter.jpg": _letter,
}
