"""Small files that cost a careless reader far more time or memory than their size."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache

from tests.support import damaged_photos, photos


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full_box(kind: bytes, body: bytes, *, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + body)


def _ispe(width: int, height: int) -> bytes:
    return _full_box(b"ispe", struct.pack(">II", width, height))


def _heif(*meta: bytes) -> bytes:
    head = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return head + _full_box(b"meta", b"".join(meta)) + _box(b"mdat", b"x" * 16)


def heic_empty_extents() -> bytes:
    """1,500 items of 65,535 extents without bytes."""
    items = b"".join(struct.pack(">HHH", n + 1, 0, 65_535) for n in range(1_500))
    iloc = _full_box(b"iloc", struct.pack(">HH", 0, 1_500) + items)
    return _heif(iloc, _box(b"iprp", _box(b"ipco", _ispe(100, 100))))


def heic_grid_of_one_tile() -> bytes:
    """A grid of 100 x 100 pixels that refers 1,000 times to one tile of 512 x 512."""
    count = 1_000
    references = struct.pack(">HH", 1, count) + struct.pack(">H", 2) * count
    iref = _full_box(b"iref", struct.pack(">I", 8 + len(references)) + b"dimg" + references)
    properties = _box(b"ipco", _ispe(100, 100) + _ispe(512, 512))
    associations = _full_box(b"ipma", struct.pack(">I", 2) + b"\0\1\1\1" + b"\0\2\1\2")
    pitm = _full_box(b"pitm", struct.pack(">H", 1))
    return _heif(pitm, iref, _box(b"iprp", properties + associations))


def heic_derived_in_a_chain() -> bytes:
    """Items that are derived from each other, 1,000 deep."""
    chain = b"".join(struct.pack(">I4sHHH", 14, b"dimg", n, 1, n + 1) for n in range(1, 1_000))
    pitm = _full_box(b"pitm", struct.pack(">H", 1))
    iprp = _box(b"iprp", _box(b"ipco", _ispe(100, 100)))
    return _heif(pitm, _full_box(b"iref", chain), iprp)


def avif_nested_boxes() -> bytes:
    """1,500 boxes in each other."""
    body = b""
    for _ in range(1_500):
        body = _box(b"trak", body)
    meta = _full_box(b"meta", _box(b"iprp", _box(b"ipco", _ispe(10, 10))))
    return _box(b"ftyp", b"avis\0\0\0\0mif1avif") + meta + _box(b"moov", body)


def webp_two_flat_frames() -> bytes:
    """Two flat frames of 100 megapixels with alpha, in 150 bytes."""
    return bytes.fromhex(
        "524946468e00000057454250565038580a000000120000000f27000f2700414e494d06000000000000000000"
        "414e4d462c0000000000000000000f27000f2700320000025650384c140000002f0fe7c31907508154082000"
        "0a9a92c58888fe07414e4d462e0000000000000000000f27000f2700320000025650384c150000002f0fe7c3"
        "190750812628041000054dc9624444ff0300"
    )


def _png_head(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + photos.chunk(b"IHDR", header)


def _png_end(rows: bytes) -> bytes:
    return photos.chunk(b"IDAT", zlib.compress(rows)) + photos.chunk(b"IEND", b"")


@cache
def _packed_gibibyte() -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 24)) for _ in range(64)) + packer.flush()


def png_more_than_its_pixels() -> bytes:
    """10 x 10 pixels whose data unpack to 1 GiB."""
    end = photos.chunk(b"IEND", b"")
    return _png_head(10, 10) + photos.chunk(b"IDAT", _packed_gibibyte()) + end


def apng_more_than_its_pixels() -> bytes:
    """A second frame of 10 x 10 pixels whose data unpack to 1 GiB."""

    def control(sequence: int) -> bytes:
        return photos.chunk(b"fcTL", struct.pack(">5I2H2B", sequence, 10, 10, 0, 0, 1, 10, 0, 0))

    first = photos.chunk(b"IDAT", zlib.compress(bytes(110)))
    second = photos.chunk(b"fdAT", struct.pack(">I", 2) + _packed_gibibyte())
    head = _png_head(10, 10) + photos.chunk(b"acTL", struct.pack(">II", 2, 0))
    return head + control(0) + first + control(1) + second + photos.chunk(b"IEND", b"")


def tiff_more_than_its_pixels() -> bytes:
    """10 x 10 pixels in a strip that unpacks to 1 GiB."""
    data = _packed_gibibyte()
    values = {256: 10, 257: 10, 258: 8, 259: 8, 262: 1, 273: 122, 277: 1, 278: 10, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(values)) + entries + bytes(4) + data


def jpeg_hundreds_of_scans() -> bytes:
    """The last scan of a progressive picture of 9 megapixels, 80 times more and nearly empty."""
    source = photos.jpeg(photos.scene(3_000, 3_000), progressive=True)
    at = source.rindex(b"\xff\xda")
    header = source[at : at + 2 + struct.unpack(">H", source[at + 2 : at + 4])[0]]
    return source[:-2] + (header + b"\0") * 80 + source[-2:]


def jpeg_fill_bytes() -> bytes:
    """20 MB of fill bytes in front of a marker."""
    source = photos.jpeg()
    return source[:2] + b"\xff" * 20_000_000 + source[2:]


def jpeg_tables() -> bytes:
    """20 MB of Huffman tables."""
    source = photos.jpeg()
    at = source.index(b"\xff\xc4")
    table = source[at : at + 2 + struct.unpack(">H", source[at + 2 : at + 4])[0]]
    return source[:2] + table * (20_000_000 // len(table)) + source[2:]


def png_empty_chunks() -> bytes:
    """20 MB of empty private chunks before a picture of 10 x 10 pixels."""
    return (
        _png_head(10, 10) + photos.chunk(b"prVt", b"") * (20_000_000 // 12) + _png_end(bytes(110))
    )


def png_text_bomb() -> bytes:
    """Text and a profile that unpack to 256 MiB each."""
    bomb = zlib.compress(bytes(256 << 20), 9)
    profile = photos.chunk(b"iCCP", b"p\0\0" + bomb)
    text = photos.chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb)
    return _png_head(10, 10) + profile + text + _png_end(bytes(110))


def jpeg_lone_markers() -> bytes:
    """20 MB of markers without a segment."""
    return b"\xff\xd8" + b"\xff\x01" * 10_000_000 + photos.jpeg()[2:]


def gif_stray_block_ends() -> bytes:
    """20 MB of block ends between two blocks."""
    source = damaged_photos.valid_files()["still.gif"]
    return source[:-1] + bytes(20_000_000) + source[-1:]


def tiff_overlapping_directories() -> bytes:
    """5,000 directories that start 12 bytes apart, each of 4,000 entries."""
    count = 4_000
    entries = struct.pack("<HHII", 0x0100, 3, 1, 10) * 12_000
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", 1)
    sub = struct.pack("<HHII", 330, 4, 5_000, 26)
    offsets = b"".join(struct.pack("<I", 26 + 20_000 + 14 * n) for n in range(5_000))
    body = b"".join(struct.pack("<H", count) + entries[i * 12 : i * 12 + 12] for i in range(9_000))
    return head + sub + bytes(4) + offsets + body


HOSTILE: dict[str, Callable[[], bytes]] = {
    build.__name__: build
    for build in (
        heic_empty_extents,
        heic_grid_of_one_tile,
        heic_derived_in_a_chain,
        avif_nested_boxes,
        webp_two_flat_frames,
        png_more_than_its_pixels,
        apng_more_than_its_pixels,
        tiff_more_than_its_pixels,
        jpeg_hundreds_of_scans,
        jpeg_fill_bytes,
        jpeg_tables,
        png_empty_chunks,
        png_text_bomb,
        jpeg_lone_markers,
        gif_stray_block_ends,
        tiff_overlapping_directories,
    )
}
