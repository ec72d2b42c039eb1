"""Builds small test images, and the corpus of damaged ones. Deterministic.

Where a library writes the format, it is used; where none writes what is wanted (big-endian TIFF,
interlaced or 2-bit PNG, ICC profiles, EXIF of either byte order), it is written here by hand, so
that a test does not compare a library with itself.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
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
    """A HEIC picture, by x265's fastest settings: by its usual ones it takes nine times as long."""
    from pillow_heif.as_plugin import register_heif_opener

    register_heif_opener()
    return saved(
        image or scene(),
        "HEIF",
        **{"quality": 90, "enc_params": {"preset": "ultrafast"}, **options},
    )


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


def tiff(
    samples: np.ndarray,
    *,
    order: Literal["<", ">"] = "<",
    orientation: int = 1,
    orientation_type: int = SHORT,
) -> bytes:
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
        (274, orientation_type, [orientation]),
        (277, SHORT, [channels]),
        (278, SHORT, [height]),
        (279, LONG, [len(data)]),
    ]
    size = len(_directory(entries, 8, order))
    entries[5] = (273, LONG, [8 + size])
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    return head + _directory(entries, 8, order) + data
