"""Painting tools for procedural pictures: gradients, noise, light, hills, stars, trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[np.float32]  # height x width, 0..1
Picture = npt.NDArray[np.float32]  # height x width x 3, 0..1
Colour = tuple[float, float, float]


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


def rgb(text: str) -> Colour:
    return (int(text[:2], 16) / 255, int(text[2:4], 16) / 255, int(text[4:], 16) / 255)


def gradient_sky(y: Plane, stops: Sequence[tuple[float, str]]) -> Picture:
    """A gradient downwards through colours, in light and not in sRGB values, as haze is."""
    at = [s for s, _ in stops]
    channels = [
        np.interp(y, at, [rgb(colour)[i] ** 2.2 for _, colour in stops]) ** (1 / 2.2)
        for i in range(3)
    ]
    return np.stack(channels, axis=-1).astype(np.float32)


def blend(picture: Picture, colour: str | Picture, amount: Plane) -> Picture:
    over = np.array(rgb(colour), np.float32) if isinstance(colour, str) else colour
    weight = amount.clip(0, 1)[:, :, None]
    return np.asarray(picture * (1 - weight) + over * weight, dtype=np.float32)


def add_light(picture: Picture, colour: str, amount: npt.NDArray[Any]) -> Picture:
    """Adds light, as the sun does."""
    light = np.array(rgb(colour), np.float32) * amount[:, :, None]
    return np.asarray(1 - (1 - picture.clip(0, 1)) * (1 - light.clip(0, 1)), dtype=np.float32)


def soft_step(distance: Plane, edge: float) -> Plane:
    """1 inside (negative distance), 0 outside, a soft step of width `edge` between."""
    return np.asarray((0.5 - distance / edge).clip(0, 1), dtype=np.float32)


def disc(canvas: Canvas, x: float, y: float) -> Plane:
    """The distance from a point, in heights."""
    return np.asarray(np.hypot((canvas.x - x) * canvas.ratio, canvas.y - y), dtype=np.float32)


def hills(
    canvas: Canvas, picture: Picture, layers: Sequence[tuple[float, float, str, int]], haze: str
) -> Picture:
    """Ridges one behind the other: level, height, colour and bumps of each; haze in the valleys."""
    for level, height, colour, bumps in layers:
        top = level - height * canvas.ridge(bumps)
        below = canvas.y - top[None, :]
        picture = blend(picture, colour, soft_step(-below, 0.0015))
        mist = np.exp(-((canvas.y - level - 0.07) ** 2) / 0.004) * (below > 0)
        picture = blend(picture, haze, np.asarray(mist * 0.45, dtype=np.float32))
    return picture


def star_field(canvas: Canvas, count: int, lowest: float) -> Picture:
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
