"""The photos of the benchmark: six of a phone, six of a camera, each baseline and progressive.

They are painted, so that anyone has the same ones, and have the noise that the sensor of each
leaves in an eight-bit picture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from services.local.demo.samples import scenes
from services.local.demo.samples.camera import expose, paint_scene
from services.local.demo.samples.painting import Canvas, Picture

KINDS = ("baseline", "progressive")


@dataclass(frozen=True)
class Sensor:
    """`noise` is the standard deviation, in levels of 255."""

    name: str
    size: tuple[int, int]
    noise: float
    jpeg_quality: int


# Decoded at full size: half of it would be less than 2048 pixels.
PHONE = Sensor("phone 12 MP", (4032, 3024), 6.0, 88)
LARGER_PHONE = Sensor("phone 16 MP", (4624, 3472), 6.0, 88)
CAMERA = Sensor("camera 24 MP", (6000, 4000), 3.0, 92)

_SCENES: tuple[tuple[Sensor, Callable[[Canvas], Picture]], ...] = (
    (PHONE, scenes.sunset_sea),
    (CAMERA, scenes.dusk_hills),
    (PHONE, scenes.city_lights),
    (CAMERA, scenes.mountain_morning),
    (LARGER_PHONE, scenes.flower),
    (CAMERA, scenes.night_sky),
    (PHONE, scenes.misty_forest),
    (CAMERA, scenes.dunes),
    (LARGER_PHONE, scenes.violet_dunes),
    (CAMERA, scenes.aurora),
    (LARGER_PHONE, scenes.moonrise),
    (CAMERA, scenes.sunburst),
)


@dataclass(frozen=True)
class Source:
    """A photo as a baseline and as a progressive JPEG, by kind."""

    name: str
    files: dict[str, Path]


def make_sources(folder: Path) -> list[Source]:
    """Paints the photos into `folder`."""
    print("making the photos ...", file=sys.stderr)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda i: _make(folder, i), range(len(_SCENES))))


def _make(folder: Path, index: int) -> Source:
    sensor, paint = _SCENES[index]
    painting = paint_scene(paint, sensor.size, index)
    photo = expose(painting, sensor.size, index, sensor.noise)
    title = paint.__name__.replace("_", " ")
    return _save(photo, f"{sensor.name}, {title}", sensor.jpeg_quality, folder)


def _save(photo: Image.Image, name: str, quality: int, folder: Path) -> Source:
    files = {kind: folder / f"{name}, {kind}.jpg" for kind in KINDS}
    for kind, path in files.items():
        photo.save(path, "JPEG", quality=quality, progressive=kind == "progressive")
    return Source(name, files)
