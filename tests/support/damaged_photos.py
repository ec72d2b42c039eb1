"""Valid files of every kind, and damaged copies of them."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from PIL import Image

from tests.support.icc_profiles import GAMMA_SRGB, P3, rgb_profile
from tests.support.photos import (
    RGB,
    animation,
    avif,
    full_exif,
    heic,
    jpeg,
    mpo,
    png,
    saved,
    scene,
    tiff,
)

WIDTH, HEIGHT = 96, 64


def zip_archive() -> bytes:
    """A ZIP archive with one file in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("program.js"), "alert(1)")
    return out.getvalue()


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
HTML = b"<html><script>alert(1)</script></html>"


@cache
def valid_files() -> dict[str, bytes]:
    """A sound file of every format and kind, by name."""
    rgb = np.asarray(scene())
    palette = scene().quantize(32)
    rgba = scene().convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    return {
        "baseline.jpg": jpeg(exif=full_exif()),
        "progressive.jpg": jpeg(progressive=True, icc_profile=rgb_profile(P3, GAMMA_SRGB)),
        "restarts.jpg": jpeg(restart_marker_rows=1),
        "grey.jpg": jpeg(scene().convert("L")),
        "cmyk.jpg": jpeg(scene().convert("CMYK")),
        "two.mpo": mpo(),
        "plain.png": saved(scene(), "PNG", exif=full_exif()),
        "palette.png": saved(palette, "PNG", transparency=3),
        "sixteen.png": png(rgb.astype(np.uint16) * 257, 16, RGB),
        "moving.png": animation("PNG"),
        "lossy.webp": saved(scene(), "WEBP", quality=85, exif=full_exif()),
        "lossless.webp": saved(rgba, "WEBP", lossless=True),
        "moving.webp": animation("WEBP"),
        "still.gif": saved(palette, "GIF"),
        "moving.gif": animation("GIF"),
        "plain.tif": tiff(rgb, order=">"),
        "lzw.tif": saved(scene(), "TIFF", compression="tiff_lzw"),
        "deflate.tif": saved(scene(), "TIFF", compression="tiff_adobe_deflate"),
        "photo.heic": heic(exif=full_exif()),
        "photo.avif": avif(exif=full_exif()),
    }


def damaged_corpus() -> Iterator[tuple[str, bytes]]:
    """About 500 damaged files by name, made from every one of `valid_files`.

    Cut short; bits turned; parts taken out, doubled or overwritten; lengths changed; another
    format's signature; other files behind. Some are still good pictures: a turned bit may change
    one pixel. The same files in every run.
    """
    files = valid_files()
    for name, source in files.items():
        for label, damage in _DAMAGES.items():
            yield f"{label} {name}", damage(source, random.Random(f"{label} {name}"))
    names = sorted(files)
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        yield f"head of {name} on {other}", files[name][:16] + files[other][16:]
        yield f"{name} with {other} behind", files[name] + files[other]
    yield "nothing", b""
    yield "zeros", bytes(5_000)
    yield "noise", random.Random(5).randbytes(5_000)
    yield "text", b"Dear lab, please print this.\n" * 40


def _cut(part: float) -> Callable[[bytes, random.Random], bytes]:
    return lambda source, _: source[: int(len(source) * part)]


def _flip(count: int) -> Callable[[bytes, random.Random], bytes]:
    def damage(source: bytes, rng: random.Random) -> bytes:
        data = bytearray(source)
        for _ in range(count):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)

    return damage


def _flip_head(source: bytes, rng: random.Random) -> bytes:
    data = bytearray(source)
    for _ in range(3):
        data[rng.randrange(4, min(len(data), 200))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _overwrite(value: bytes) -> Callable[[bytes, random.Random], bytes]:
    def damage(source: bytes, rng: random.Random) -> bytes:
        at = rng.randrange(8, min(len(source), 400))
        return source[:at] + value + source[at + len(value) :]

    return damage


def _remove(source: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(source))
    return source[:at] + source[at + rng.randrange(1, 300) :]


def _double(source: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(source))
    return source[:at] + source[at : at + 200] + source[at:]


def _noise(source: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(source) // 4, len(source))
    return source[:at] + rng.randbytes(64) + source[at + 64 :]


_DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut at 1%": _cut(0.01),
    "cut at 10%": _cut(0.1),
    "cut at 30%": _cut(0.3),
    "cut at 60%": _cut(0.6),
    "cut at 90%": _cut(0.9),
    "last byte missing": lambda source, _: source[:-1],
    "one bit turned": _flip(1),
    "ten bits turned": _flip(10),
    "a hundred bits turned": _flip(100),
    "bits turned in the head": _flip_head,
    "more bits turned in the head": lambda source, rng: _flip_head(_flip_head(source, rng), rng),
    "length set to the most": _overwrite(b"\xff\xff\xff\xff"),
    "length set to nothing": _overwrite(bytes(4)),
    "length set to one": _overwrite(b"\0\0\0\1"),
    "a part removed": _remove,
    "another part removed": lambda source, rng: _remove(_remove(source, rng), rng),
    "a part doubled": _double,
    "noise inside": _noise,
    "more noise inside": lambda source, rng: _noise(_noise(source, rng), rng),
    "archive behind": lambda source, _: source + zip_archive(),
    "page behind": lambda source, _: source + HTML,
    "document behind": lambda source, _: source + PDF,
}
