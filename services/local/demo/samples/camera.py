"""Turns a painted scene into a photo: resolution, sensor noise, EXIF, orientation, profile."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from services.local.demo.samples.painting import Canvas, Picture

# Scenes are painted at this width and enlarged; the noise is added at full resolution.
CANVAS_PIXELS = 1000
GRAIN_PIXELS = 1024


def paint_scene(paint: Callable[[Canvas], Picture], size: tuple[int, int], seed: int) -> Picture:
    width, height = size
    scale = min(1.0, CANVAS_PIXELS / max(size))
    canvas = Canvas(round(width * scale), round(height * scale), np.random.default_rng(seed))
    return paint(canvas).clip(0, 1)


def expose(painting: Picture, size: tuple[int, int], seed: int, noise: float = 3.0) -> Image.Image:
    """The painting at a camera's resolution, with a sensor's grain."""
    small = Image.fromarray((painting * 255 + 0.5).astype(np.uint8))
    large = np.array(small.resize(size, Image.Resampling.BICUBIC))
    rng = np.random.default_rng(seed)
    grain = np.rint(rng.normal(0, noise, (GRAIN_PIXELS, GRAIN_PIXELS, 1))).astype(np.int16)
    for top in range(0, size[1], GRAIN_PIXELS):
        for left in range(0, size[0], GRAIN_PIXELS):
            part = large[top : top + GRAIN_PIXELS, left : left + GRAIN_PIXELS]
            noisy = (
                part
                + np.roll(grain, (top // 7, left // 5), (0, 1))[: part.shape[0], : part.shape[1]]
            )
            part[:] = noisy.clip(0, 255)
    return Image.fromarray(large)


@dataclass(frozen=True)
class Shot:
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


MIRRORLESS = ("Obscura", "Obscura X2")
PHONE = ("Pinhole", "Pinhole 9 Pro")
WIDE, NORMAL, PHONE_LENS = (
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


def as_stored(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_STORED[orientation]) if orientation in _STORED else image


def display_p3() -> bytes:
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
