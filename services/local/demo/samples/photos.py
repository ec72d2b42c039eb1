"""The sample photos: procedural pictures with the properties of real ones.

Camera resolution, sensor noise, EXIF with orientation and GPS; one each of HEIC, CMYK, Display P3,
16-bit PNG, alpha, animation, progressive JPEG and MPO; and three that must be rejected: a
decompression bomb, a truncated file, and a text file named .jpg. Seeded: every run makes the same
photos.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from services.local.demo.samples import scenes
from services.local.demo.samples.camera import (
    MIRRORLESS,
    NORMAL,
    PHONE,
    PHONE_LENS,
    WIDE,
    Shot,
    as_stored,
    display_p3,
    expose,
    paint_scene,
)
from services.local.demo.samples.painting import (
    Canvas,
    Picture,
    add_light,
    blend,
    disc,
    gradient_sky,
    hills,
    soft_step,
    star_field,
)
from services.platform.checkout import state_folder

WORKERS = 3


_CACHE = state_folder() / "samples"


def sample_photos(cache: Path = _CACHE) -> tuple[Path, ...]:
    """The sample photos, generated once into `cache` for each version of the generator: about ten
    seconds of CPU time. Returns their paths in the order in which they are shown."""
    folder = cache / _generator_version()
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=cache))
        try:
            make_sample_photos(draft)
            with suppress(OSError):  # another process was faster
                draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return tuple(folder / name for name in _PHOTOS)


def _generator_version() -> str:
    """A digest of the generator's sources and of the libraries that encode the photos."""
    digest = hashlib.sha256(f"{PIL.__version__} {np.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def make_sample_photos(folder: Path) -> tuple[Path, ...]:
    """Writes the sample photos to `folder`, which is created if missing. Returns their paths in
    the order in which they are shown. Deterministic."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str) -> Path:
        path = folder / name
        path.write_bytes(_PHOTOS[name]())
        return path

    # Threads suffice: Pillow and NumPy release the interpreter lock while they work.
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        return tuple(pool.map(write, _PHOTOS))


def _jpeg(
    paint: Callable[[Canvas], Picture],
    size: tuple[int, int],
    seed: int,
    shot: Shot,
    *,
    quality: int = 90,
    progressive: bool = False,
    icc: bytes | None = None,
    noise: float = 3.0,
) -> bytes:
    image = expose(paint_scene(paint, size, seed), size, seed, noise)
    return _file(
        as_stored(image, shot.orientation), "JPEG",
        quality=quality, progressive=progressive, exif=shot.exif(), icc_profile=icc,
    )  # fmt: skip


def _file(image: Image.Image, name: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=name, **options)
    return out.getvalue()


def _hills_at_dusk() -> bytes:
    shot = Shot(MIRRORLESS, WIDE, (1, 60), 8, 100, 24, "2026:10:03 18:52:11", "+02:00",
                 place=(46.5197, 8.0321, 1840.0))  # fmt: skip
    return _jpeg(scenes.dusk_hills, (6000, 4000), 11, shot)


def _phone_sunset() -> bytes:
    shot = Shot(PHONE, PHONE_LENS, (1, 120), 1.8, 64, 5.6, "2026:08:14 20:31:40", "+01:00",
                 orientation=6, place=(38.6979, -9.4215, 4.0))  # fmt: skip
    return _jpeg(scenes.sunset_sea, (3456, 4608), 12, shot, quality=88)


def _milky_way() -> bytes:
    shot = Shot(MIRRORLESS, WIDE, (20, 1), 2.8, 3200, 16, "2026:07:18 01:14:05", "+02:00",
                 orientation=8)  # fmt: skip
    return _jpeg(scenes.night_sky, (3072, 4608), 13, shot, noise=5)


def _forest_heic() -> bytes:
    from pillow_heif.as_plugin import register_heif_opener

    register_heif_opener()
    shot = Shot(PHONE, PHONE_LENS, (1, 250), 1.8, 50, 5.6, "2026:09:27 07:45:33", "+02:00",
                 place=(47.8921, 8.1134, 960.0))  # fmt: skip
    size = (2688, 2016)
    image = expose(paint_scene(scenes.misty_forest, size, 14), size, 14, 1.5)
    return _file(
        image, "HEIF", quality=55, exif=shot.exif().tobytes(), enc_params={"preset": "ultrafast"}
    )


def _dunes_progressive() -> bytes:
    shot = Shot(MIRRORLESS, NORMAL, (1, 800), 5.6, 100, 50, "2026:02:09 16:20:00", "+04:00")
    return _jpeg(scenes.dunes, (4608, 3072), 15, shot, progressive=True)


def _city_upside_down() -> bytes:
    shot = Shot(MIRRORLESS, NORMAL, (1, 30), 1.4, 1600, 50, "2026:11:05 18:10:27", "+09:00",
                 orientation=3, place=(35.6586, 139.7454, 45.0))  # fmt: skip
    return _jpeg(scenes.city_lights, (4608, 3072), 16, shot, noise=5)


def _northern_lights() -> bytes:
    shot = Shot(MIRRORLESS, WIDE, (8, 1), 2.8, 1600, 20, "2026:03:11 23:48:19", "+01:00",
                 orientation=5, place=(69.6492, 18.9553, 12.0))  # fmt: skip
    return _jpeg(scenes.aurora, (4608, 3072), 17, shot, noise=4)


def _flower_p3() -> bytes:
    shot = Shot(PHONE, PHONE_LENS, (1, 500), 1.8, 40, 5.6, "2026:06:21 11:02:54", "+02:00")
    return _jpeg(scenes.flower, (4032, 3024), 18, shot, icc=display_p3(), noise=2)


def _poster_cmyk() -> bytes:
    size = (3000, 2000)
    image = Image.fromarray((paint_scene(scenes.sunburst, size, 19) * 255).astype(np.uint8))
    return _file(image.resize(size, Image.Resampling.BICUBIC).convert("CMYK"), "JPEG", quality=90)


def _moon_sixteen_bits() -> bytes:
    size = (1800, 1200)
    painting = paint_scene(scenes.moonrise, size, 20)
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
    away = disc(canvas, 0.5, 0.46)
    depth = np.sqrt((1 - (away / 0.36) ** 2).clip(0, 1))
    swirl = canvas.clouds(3, 5)
    twist = np.sin(9 * swirl + 6 * np.arctan2(canvas.y - 0.46, canvas.x - 0.5)) * 0.5 + 0.5
    glass = gradient_sky((twist * 0.8 + 0.2 * swirl).astype(np.float32),
                 [(0, "0b2a6a"), (0.35, "1f8ad0"), (0.7, "7af0e0"), (1, "fff2b0")])  # fmt: skip
    glass = np.asarray(glass * (0.35 + 0.65 * depth[:, :, None]), dtype=np.float32)
    glass = add_light(glass, "ffffff", np.exp(-(disc(canvas, 0.39, 0.31) ** 2) / 0.0028) * 0.95)
    glass = add_light(glass, "c0f0ff", np.exp(-(disc(canvas, 0.6, 0.66) ** 2) / 0.006) * 0.5)
    ball = soft_step(away - 0.36, 0.004)
    shadow = np.exp(-(((canvas.x - 0.52) / 0.3) ** 2 + ((canvas.y - 0.86) / 0.05) ** 2)) * 0.55
    alpha = np.maximum(ball * (0.82 + 0.18 * (1 - depth)), shadow)
    colour = glass * ball[:, :, None]
    pixels = np.dstack([colour, alpha]).clip(0, 1)
    return _file(Image.fromarray((pixels * 255).astype(np.uint8)), "PNG", compress_level=3)


def _lighthouse_gif() -> bytes:
    width, height, count = 480, 320, 18
    canvas = Canvas(width, height, np.random.default_rng(22))
    sky = gradient_sky(canvas.y, [(0, "0c1230"), (0.5, "2c3a6a"), (0.72, "c0708a"), (1, "20345a")])
    sky = np.asarray(1 - (1 - sky) * (1 - star_field(canvas, 160, 0.5)), dtype=np.float32)
    ground = hills(canvas, sky, [(0.86, 0.06, "101a30", 4)], "6a5a86")
    tower = (np.abs(canvas.x - 0.7) < 0.012 + 0.012 * (canvas.y - 0.4)) & (canvas.y > 0.42)
    ground = blend(
        ground, "e8e0d8", soft_step(-(tower & (canvas.y < 0.88)).astype(np.float32) + 0.5, 0.1)
    )
    angle = np.arctan2(canvas.y - 0.42, (canvas.x - 0.7) * canvas.ratio)
    away = disc(canvas, 0.7, 0.42)
    frames = []
    for i in range(count):
        turn = 2 * np.pi * i / count
        reach = np.cos(turn)  # towards the viewer and away
        aim = 0.0 if reach > 0 else np.pi
        off = np.abs((angle - aim + np.pi) % (2 * np.pi) - np.pi)
        beam = np.exp(-(off**2) / 0.012) * np.exp(-away * 1.3) * abs(reach)
        lamp = np.exp(-(away**2) / 0.0012) * (0.8 + 0.4 * abs(np.sin(turn)))
        lit = add_light(ground, "ffe8a0", np.asarray(beam * 0.8 + lamp, dtype=np.float32))
        frame = Image.fromarray((lit.clip(0, 1) * 255).astype(np.uint8))
        frames.append(frame.quantize(96, dither=Image.Dither.FLOYDSTEINBERG))
    return _file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=90, loop=0)


def _mountain_stereo() -> bytes:
    size = (3264, 2448)
    shot = Shot(PHONE, PHONE_LENS, (1, 640), 1.8, 40, 5.6, "2026:05:30 08:12:00", "+02:00",
                 orientation=2)  # fmt: skip
    image = as_stored(expose(paint_scene(scenes.mountain_morning, size, 23), size, 23, 2), 2)
    other = image.resize((816, 612))
    return _file(
        image, "MPO", save_all=True, append_images=[other], quality=90, exif=shot.exif().tobytes()
    )


def _dunes_webp() -> bytes:
    size = (2400, 1600)
    image = expose(paint_scene(scenes.violet_dunes, size, 24), size, 24, 2)
    return _file(image, "WEBP", quality=88, method=0)


def _bomb() -> bytes:
    width, height = 30_000, 30_000
    packer = zlib.compressobj(1)
    block = bytes((width // 8 + 1) * 1_000)
    data = b"".join(packer.compress(block) for _ in range(height // 1_000)) + packer.flush()
    return _png(width, height, depth=1, kind=0, data=data)


def _broken_off() -> bytes:
    shot = Shot(PHONE, PHONE_LENS, (1, 60), 1.8, 200, 5.6, "2026:11:22 12:00:00", "+01:00")
    whole = _jpeg(scenes.dusk_hills, (2400, 1600), 25, shot)
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
