"""Builds small test images, and the corpus of damaged ones. Deterministic.

Where a library writes the format, it is used; where none writes what is wanted (big-endian TIFF,
interlaced or 2-bit PNG, ICC profiles, EXIF of either byte order), it is written here by hand, so
that a test does not compare a library with itself.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 96, 64
CORNERS = {
    "top-left": (220, 40, 40),
    "top-right": (40, 200, 40),
    "bottom-left": (40, 60, 220),
    "bottom-right": (230, 210, 40),
}


def scene(width: int = WIDTH, height: int = HEIGHT, *, seed: int = 7) -> Image.Image:
    """A picture without symmetry: four coloured quarters, a soft gradient, a little grain."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    half_w, half_h = width // 2, height // 2
    picture[:half_h, :half_w] = CORNERS["top-left"]
    picture[:half_h, half_w:] = CORNERS["top-right"]
    picture[half_h:, :half_w] = CORNERS["bottom-left"]
    picture[half_h:, half_w:] = CORNERS["bottom-right"]
    picture += np.linspace(-12, 12, width)[None, :, None]
    picture += rng.normal(0, 3, (height, width, 1))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    """`image` as a file of the format that Pillow calls `name`."""
    out = io.BytesIO()
    image.save(out, format=name, **options)
    return out.getvalue()


def jpeg(image: Image.Image | None = None, **options: Any) -> bytes:
    """A JPEG, at quality 92 by default."""
    return saved(image or scene(), "JPEG", **{"quality": 92, **options})


def heic(image: Image.Image | None = None, **options: Any) -> bytes:
    """A HEIC picture."""
    from pillow_heif.as_plugin import register_heif_opener

    register_heif_opener()
    return saved(image or scene(), "HEIF", **{"quality": 90, **options})


def avif(image: Image.Image | None = None, **options: Any) -> bytes:
    """An AVIF picture."""
    return saved(image or scene(), "AVIF", **{"quality": 85, "speed": 10, **options})


def mpo() -> bytes:
    """Two JPEG pictures in one file, as CIPA DC-007 has it."""
    return saved(scene(), "MPO", save_all=True, append_images=[scene(seed=8)], quality=92)


def moving_frames(count: int = 5, width: int = 48, height: int = 32) -> list[Image.Image]:
    """A bright square on its way over a dark ground."""
    frames = []
    for i in range(count):
        frame = Image.new("RGB", (width, height), (20, 24, 60))
        left = i * (width - 12) // max(1, count - 1)
        frame.paste((250, 220 - 30 * i, 40 + 20 * i), (left, 8, left + 12, 20))
        frames.append(frame)
    return frames


def animation(name: str, count: int = 5, **options: Any) -> bytes:
    """An animated "GIF", "WEBP", "PNG" or "AVIF"."""
    frames = moving_frames(count)
    options = {"duration": 80, "loop": 0, **options}
    return saved(frames[0], name, save_all=True, append_images=frames[1:], **options)


# --- EXIF -----------------------------------------------------------------------------------------

Entry = tuple[int, int, Sequence[Any] | bytes]
BYTE, ASCII, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5


def exif(
    main: Sequence[Entry] = (),
    details: Sequence[Entry] = (),
    gps: Sequence[Entry] = (),
    *,
    order: str = "<",
) -> bytes:
    """An EXIF block, with its "Exif" prefix, in byte order "<" or ">".

    An entry is a tag, a type and its values: text as bytes, rationals as pairs.
    """
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    entries = list(main)
    if details:
        entries.append((0x8769, LONG, [0]))
    if gps:
        entries.append((0x8825, LONG, [0]))
    entries.sort()
    first_size = len(_directory(entries, 8, order))
    details_at = 8 + first_size
    details_bytes = _directory(sorted(details), details_at, order) if details else b""
    gps_at = details_at + len(details_bytes)
    gps_bytes = _directory(sorted(gps), gps_at, order) if gps else b""
    pointers = {0x8769: details_at, 0x8825: gps_at}
    entries = [(t, k, [pointers[t]]) if t in pointers else (t, k, v) for t, k, v in entries]
    return b"Exif\0\0" + head + _directory(entries, 8, order) + details_bytes + gps_bytes


def _directory(entries: Sequence[Entry], at: int, order: str) -> bytes:
    table = struct.pack(order + "H", len(entries))
    behind = at + 2 + 12 * len(entries) + 4
    heap = b""
    for tag, kind, values in entries:
        if kind == ASCII:
            assert isinstance(values, bytes)
            body, count = values + b"\0", len(values) + 1
        elif kind == RATIONAL:
            body = b"".join(struct.pack(order + "LL", *pair) for pair in values)  # type: ignore[misc]
            count = len(values)
        else:
            assert not isinstance(values, bytes)
            code = {BYTE: "B", SHORT: "H", LONG: "L"}[kind]
            body, count = struct.pack(f"{order}{len(values)}{code}", *tuple(values)), len(values)
        if len(body) > 4:
            place = struct.pack(order + "L", behind + len(heap))
            heap += body + b"\0" * (len(body) & 1)
        else:
            place = body.ljust(4, b"\0")
        table += struct.pack(order + "HHL", tag, kind, count) + place
    return table + struct.pack(order + "L", 0) + heap


def orientation_exif(orientation: int, order: str = "<") -> bytes:
    """EXIF that says nothing but how to turn the picture."""
    return exif([(0x0112, SHORT, [orientation])], order=order)


def full_exif(order: str = "<", orientation: int = 1) -> bytes:
    """EXIF as a camera with GPS writes it."""
    return exif(
        [
            (0x010F, ASCII, b"Darkroom Optics"),
            (0x0110, ASCII, b"Obscura 4"),
            (0x0112, SHORT, [orientation]),
            (0x0132, ASCII, b"2026:11:21 09:00:00"),
        ],
        [
            (0x829A, RATIONAL, [(1, 250)]),
            (0x829D, RATIONAL, [(28, 10)]),
            (0x8827, SHORT, [400]),
            (0x9003, ASCII, b"2026:11:20 17:45:10"),
            (0x9011, ASCII, b"+01:00"),
            (0x920A, RATIONAL, [(35, 1)]),
            (0xA434, ASCII, b"35mm F2.8"),
        ],
        [
            (1, ASCII, b"S"),
            (2, RATIONAL, [(33, 1), (51, 1), (2508, 100)]),
            (3, ASCII, b"E"),
            (4, RATIONAL, [(151, 1), (12, 1), (5460, 100)]),
            (5, BYTE, [0]),
            (6, RATIONAL, [(583, 10)]),
        ],
        order=order,
    )


def as_stored(seen: Image.Image, orientation: int) -> Image.Image:
    """The pixels a camera stores so that a viewer who follows `orientation` sees `seen`.

    Written with arrays, by what EXIF 3.0 says of row 0 and column 0, not with Pillow's names.
    """
    a = np.asarray(seen)
    stored = {
        1: lambda: a,  # row 0 top, column 0 left
        2: lambda: a[:, ::-1],  # top, right
        3: lambda: a[::-1, ::-1],  # bottom, right
        4: lambda: a[::-1],  # bottom, left
        5: lambda: a.swapaxes(0, 1),  # left, top
        6: lambda: a[:, ::-1].swapaxes(0, 1),  # right, top
        7: lambda: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
        8: lambda: a[::-1].swapaxes(0, 1),  # left, bottom
    }[orientation]()
    return Image.fromarray(np.ascontiguousarray(stored))


# --- ICC profiles ---------------------------------------------------------------------------------

# Primaries and white as xy. Display P3: SMPTE EG 432-1 with D65; Adobe RGB (1998) 4.3.1.
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_RGB_NAMES = (b"r", b"g", b"b")
_D65 = (0.3127, 0.3290)
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _xyz(xy: tuple[float, float]) -> np.ndarray:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def rgb_to_xyz(primaries: Sequence[tuple[float, float]]) -> np.ndarray:
    """The matrix from linear RGB with these primaries (white D65) to XYZ."""
    columns = np.stack([_xyz(p) for p in primaries], axis=1)
    return np.asarray(columns * np.linalg.solve(columns, _xyz(_D65)))


def _to_d50() -> np.ndarray:
    gains = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ _xyz(_D65))
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD)


def srgb_decoded(values: np.ndarray) -> np.ndarray:
    """Linear light from sRGB's encoding (IEC 61966-2-1), both 0..1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(values: np.ndarray) -> np.ndarray:
    """sRGB's encoding (IEC 61966-2-1) of linear light, both 0..1; what is outside is cut off."""
    values = values.clip(0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(v * 65_536)) for v in values)


def _xyz_tag(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _text_tag(text: str) -> bytes:
    body = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">L", len(body)) + body + b"\0" * 78


GAMMA_SRGB = b"para\0\0\0\0\0\3\0\0" + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def gamma_curve(gamma: float) -> bytes:
    """A transfer curve that is a plain power."""
    return b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(gamma * 256))


def _profile(space: bytes, kind: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    body, table = b"", struct.pack(">L", len(tags))
    offset = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">LL", offset + len(body), len(data))
        body += data
    head = struct.pack(
        ">L4sL4s4s4s12s4s", 128 + len(table) + len(body), b"\0\0\0\0", 0x02400000, kind, space,
        connection, b"\0" * 12, b"acsp",
    )  # fmt: skip
    head = head.ljust(68, b"\0") + _fixed(*_D50_XYZ)
    return head.ljust(128, b"\0") + table + body


def rgb_profile(
    primaries: Sequence[tuple[float, float]], curve: bytes, description: str = "made for a test"
) -> bytes:
    """A matrix and curve profile, white D65, for RGB."""
    colorants = _to_d50() @ rgb_to_xyz(primaries)
    return _profile(
        b"RGB ", b"mntr", b"XYZ ",
        {
            b"desc": _text_tag(description),
            b"wtpt": _xyz_tag(_D50_XYZ),
            **{name + b"XYZ": _xyz_tag(colorants[:, i]) for i, name in enumerate(_RGB_NAMES)},
            **{name + b"TRC": curve for name in _RGB_NAMES},
        },
    )  # fmt: skip


def grey_profile(gamma: float) -> bytes:
    """A profile for grey with a plain power as its curve."""
    return _profile(
        b"GRAY", b"mntr", b"XYZ ",
        {
            b"desc": _text_tag("grey made for a test"),
            b"wtpt": _xyz_tag(_D50_XYZ),
            b"kTRC": gamma_curve(gamma),
        },
    )  # fmt: skip


# What each ink of the test's press looks like, and what they make of each other: Lab of the 16
# corners of the CMYK cube, from white paper to full black, so that nothing is left to the colour
# engine's white and black point compensation. Only solid inks are compared, where no interpolation
# has a say.
def cmyk_corner_lab(c: int, m: int, y: int, k: int) -> tuple[float, float, float]:
    """CIELAB (D50) of a solid overprint on the test's press; each ink is 0 or 1."""
    lightness = (100 - 35 * c - 40 * m - 10 * y) * (0.0 if k else 1.0)
    strength = 0.0 if k else 1.0
    return (
        lightness,
        strength * (-30.0 * c + 45.0 * m - 4.0 * y),
        strength * (-35.0 * c - 4.0 * m + 60.0 * y),
    )


def cmyk_profile() -> bytes:
    """A profile for CMYK with a table of the 16 corners (lut8Type, ICC.1:2001-04 6.5.8)."""
    identity = _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    ramp = bytes(range(256))
    nodes = bytearray()
    for i in range(16):
        c, m, y, k = (i >> s & 1 for s in (3, 2, 1, 0))
        lightness, a, b = cmyk_corner_lab(c, m, y, k)
        nodes += bytes((round(lightness * 2.55), round(a + 128), round(b + 128)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + ramp * 4 + bytes(nodes) + ramp * 3
    return _profile(
        b"CMYK", b"prtr", b"Lab ",
        {
            b"desc": _text_tag("press made for a test"),
            b"wtpt": _xyz_tag(_D50_XYZ),
            b"A2B0": table,
        },
    )  # fmt: skip


def lab_to_srgb(lab: tuple[float, float, float]) -> np.ndarray:
    """8-bit sRGB of a CIELAB (D50) colour, by the formulas of CIE 15 and IEC 61966-2-1."""
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D50_XYZ
    linear = np.linalg.solve(_to_d50() @ rgb_to_xyz(SRGB), xyz)
    return np.asarray(srgb_encoded(linear) * 255)


# --- PNG ------------------------------------------------------------------------------------------

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # fmt: skip  # noqa: E501


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))


def png(
    samples: np.ndarray,
    depth: int,
    kind: int,
    *,
    interlaced: bool = False,
    extra: Sequence[bytes] = (),
) -> bytes:
    """A PNG of `samples` (height, width, channels; 0 .. 2**depth - 1), every row unfiltered."""
    height, width = samples.shape[:2]
    samples = samples.reshape(height, width, _CHANNELS[kind])
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b""
    for left, top, step_x, step_y in passes:
        part = samples[top::step_y, left::step_x]
        if part.size:
            raw += b"".join(b"\0" + _packed(row.reshape(-1), depth) for row in part)
    header = struct.pack(">LLBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(extra)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def _packed(values: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return bytes(values.astype(">u2").tobytes())
    bits = (values[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return bytes(np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes())


def bomb_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """A small file that unpacks to `width` x `height` grey pixels."""
    packer = zlib.compressobj(9)
    row = b"\0" * (width // 8 + 1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">LLBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


# --- TIFF -----------------------------------------------------------------------------------------


def tiff(samples: np.ndarray, *, order: Literal["<", ">"] = "<", orientation: int = 1) -> bytes:
    """An uncompressed TIFF of `samples` (height, width, 1 or 3; uint8 or uint16)."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    depth = samples.dtype.itemsize * 8
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    entries: list[Entry] = [
        (256, SHORT, [width]),
        (257, SHORT, [height]),
        (258, SHORT, [depth] * channels),
        (259, SHORT, [1]),
        (262, SHORT, [1 if channels == 1 else 2]),
        (273, LONG, [0]),
        (274, SHORT, [orientation]),
        (277, SHORT, [channels]),
        (278, SHORT, [height]),
        (279, LONG, [len(data)]),
    ]
    size = len(_directory(entries, 8, order))
    entries[5] = (273, LONG, [8 + size])
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    return head + _directory(entries, 8, order) + data


# --- foreign data and damage ----------------------------------------------------------------------


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
