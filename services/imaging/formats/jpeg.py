"""JPEG (ISO/IEC 10918-1 annex B; JFIF; EXIF in APP1; ICC.1 annex B.4).

The reader walks every marker to EOI and checks that all scans and restart intervals are there:
libjpeg only warns about missing ones and paints grey. The decoder gets the picture alone, without
metadata and without what follows EOI.

A missing EOI is accepted if the decoder then finds all picture data. Some cameras leave it out and
append blocks of their own, so whatever is no marker after the last scan counts as the end.

Further pictures behind EOI (CIPA DC-007, Multi-Picture Format) and their index are ignored: photo
editors drop the pictures and leave the index.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.imaging.formats.photo import Photo, rejecting
from services.imaging.formats.structure import (
    InputFormat,
    Size,
    Structure,
    damaged,
    truncated,
    unsupported,
)
from services.imaging.limits import WorkBudget, too_expensive
from services.imaging.model import PhotoRejected, SourceFormat

if TYPE_CHECKING:
    from PIL import ImageFile

_SOI, _EOI, _SOS, _DRI, _DNL = 0xD8, 0xD9, 0xDA, 0xDD, 0xDC
_APP0, _APP1, _APP2, _APP13, _APP14, _COM = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE
_DHT, _DAC, _DQT = 0xC4, 0xCC, 0xDB
_PROGRESSIVE = frozenset((0xC2, 0xCA))
# Baseline, extended and progressive, Huffman and arithmetic: what libjpeg decodes.
_DECODABLE = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_FRAMES = frozenset((*range(0xC0, 0xD0),)) - {_DHT, 0xC8, _DAC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_LOWEST_WITH_LENGTH = 0xC0
# Fill bytes may precede a marker, and 0xFF 0x00 between segments is skipped as libjpeg does.
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_STRAY_BYTES_MAX = 64
# In entropy-coded data 0xFF is followed by 0x00 (stuffing), a restart marker or fill bytes.
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_COEFFICIENTS = 64
# Every scan costs a pass over the whole picture, however few bytes it has. Encoders write 10 or so.
_SCANS_MAX = 100
_SCANS_ALWAYS, _SCANNED_PIXELS_MAX = 24, 1_000_000_000
_DECODED_BYTES_PER_PIXEL = 4
_COEFFICIENT_BYTES = 2
_MID_GREYS = ((128, 128, 128), 128, (127, 127, 127, 127), (128, 128, 128, 128))
_JFIF_BYTES = 14
_IRB = b"Photoshop 3.0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


@dataclass
class _Walk:
    """What the markers have said so far. Components are counted by position: some cameras give
    all of them the same id."""

    width: int = 0
    height: int = 0
    ids: list[int] = field(default_factory=list)
    sampling: list[tuple[int, int]] = field(default_factory=list)
    progressive: bool = False
    restart_interval: int = 0
    # Per component, the lowest bit not yet sent for each coefficient; none sent is absent.
    precision: dict[int, dict[int, int]] = field(default_factory=dict)
    exif: bytes | None = None
    xmp: bytes | None = None
    irb: bytes | None = None
    icc_parts: dict[int, bytes] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    first_scan: int = 0
    last_scan: int = 0
    scans: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every bit of every coefficient has been sent in some scan."""
        sent = [self.precision.get(i, {}) for i in range(len(self.ids))]
        return bool(self.first_scan) and all(
            len(bits) == _COEFFICIENTS and not any(bits.values()) for bits in sent
        )


def sniff(source: bytes) -> bool:
    """Whether `source` starts as JPEG does: SOI, then a marker."""
    return source.startswith(b"\xff\xd8\xff")


def read(source: bytes, budget: WorkBudget) -> Structure:
    """The structure of the first picture in `source`. Raises PhotoRejected."""
    walk = _Walk()
    position = 2
    end_is_known = True
    while True:
        budget.spend()
        try:
            marker, body_at, body = _next_segment(source, position)
        except PhotoRejected:
            if not walk.is_complete:
                raise
            end_is_known = False  # the end mark is missing
            break
        if marker == _EOI:
            position = body_at
            break
        position = body_at + len(body)
        if marker == _SOS:
            walk.first_scan = walk.first_scan or body_at - 4
            walk.last_scan = body_at
            position = _scan(walk, source, position, body)
        elif not walk.first_scan:
            _segment(walk, marker, body, source[body_at - 4 : position])
        elif marker == _DRI:
            walk.restart_interval = int.from_bytes(body[:2], "big")
    if not walk.first_scan:
        truncated("it has no picture data")
    if not walk.is_complete:
        truncated("some of its picture data are missing")
    pixels = b"".join((b"\xff\xd8", *walk.kept, source[walk.first_scan : position]))
    return Structure(
        width=walk.width,
        height=walk.height,
        frames=1,
        end=position if end_is_known else walk.last_scan,
        end_is_known=end_is_known,
        exif=walk.exif,
        xmp=walk.xmp,
        irb=walk.irb,
        icc=b"".join(walk.icc_parts[i] for i in sorted(walk.icc_parts)) or None,
        pixels=pixels if end_is_known else pixels.rstrip(b"\xff") + b"\xff\xd9",
        bytes_per_pixel=_DECODED_BYTES_PER_PIXEL,
        fixed_bytes=len(pixels) + _coefficient_bytes(walk),
    )


def _coefficient_bytes(walk: _Walk) -> int:
    """What libjpeg keeps of a progressive picture, at least, until its last scan."""
    if not walk.progressive and walk.scans == 1:
        return 0
    h_max, v_max = (max(s[i] for s in walk.sampling) for i in (0, 1))
    samples = sum(h * v for h, v in walk.sampling)
    return _COEFFICIENT_BYTES * walk.width * walk.height * samples // (h_max * v_max)


def _next_segment(source: bytes, position: int) -> tuple[int, int, bytes]:
    """The next marker that stands for something, the offset of its body, and the body."""
    marker, position = _next_marker(source, position)
    if marker == _EOI or marker in _ALONE:
        return marker, position, b""
    if marker == _SOI:
        damaged("a second JPEG picture begins inside the first")
    if marker < _LOWEST_WITH_LENGTH:
        damaged("a JPEG segment is not where it should be")
    length = int.from_bytes(source[position : position + 2], "big")
    if position + max(length, 2) > len(source):
        truncated("a JPEG segment is cut off")
    if length < 2:
        damaged("a JPEG segment has no valid length")
    return marker, position + 2, source[position + 2 : position + length]


def _next_marker(source: bytes, position: int) -> tuple[int, int]:
    if position + 2 > len(source):
        truncated("the JPEG end mark is missing")
    found = _MARKER.search(source, position, position + _STRAY_BYTES_MAX)
    if found is None:
        # libjpeg skips a few stray bytes; cameras that miscount a segment by a few are in use.
        if len(source) - position <= 1 or not source[position:].strip(b"\xff"):
            truncated("the JPEG end mark is missing")
        damaged("a JPEG segment is not where it should be")
    return source[found.end() - 1], found.end()


def _segment(walk: _Walk, marker: int, body: bytes, whole: bytes) -> None:
    if marker in _FRAMES:
        _frame(walk, marker, body)
        walk.kept.append(whole)
    elif marker == _DRI:
        walk.restart_interval = int.from_bytes(body[:2], "big")
        walk.kept.append(whole)
    elif marker in (_DQT, _DHT, _DAC):
        walk.kept.append(whole)
    elif (marker == _APP0 and body.startswith(b"JFIF\0")) or (
        marker == _APP14 and body.startswith(b"Adobe")
    ):
        # libjpeg decides on the colour space by these two. It wants all 14 bytes of a JFIF segment.
        if marker == _APP14 or len(body) >= _JFIF_BYTES:
            walk.kept.append(whole)
    elif marker == _APP1 and body.startswith(b"Exif\0") and walk.exif is None:
        walk.exif = body[6:]
    elif marker == _APP1 and body.startswith(_XMP) and walk.xmp is None:
        walk.xmp = body[len(_XMP) :]
    elif marker == _APP13 and body.startswith(_IRB) and walk.irb is None:
        walk.irb = body[len(_IRB) :]
    elif marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        walk.icc_parts[body[12]] = body[14:]


def _frame(walk: _Walk, marker: int, body: bytes) -> None:
    if walk.ids:
        damaged("it has two JPEG frame headers")
    count = body[5] if len(body) > 5 else 0
    if not count or len(body) < 6 + 3 * count:
        damaged("its JPEG frame header is too short")
    if marker not in _DECODABLE or body[0] != 8 or count not in (1, 3, 4):
        unsupported("a rare kind of JPEG (lossless, hierarchical, or not 8 bits a channel)")
    walk.height = int.from_bytes(body[1:3], "big")
    walk.width = int.from_bytes(body[3:5], "big")
    walk.progressive = marker in _PROGRESSIVE
    for i in range(6, 6 + 3 * count, 3):
        walk.ids.append(body[i])
        walk.sampling.append((body[i + 1] >> 4, body[i + 1] & 15))
    if not all(1 <= h <= 4 and 1 <= v <= 4 for h, v in walk.sampling):
        damaged("its JPEG frame header contradicts itself")
    if not walk.width or not walk.height:
        damaged("it has no width or no height")


def _scan(walk: _Walk, source: bytes, start: int, header: bytes) -> int:
    """Checks one scan and gives the offset of the marker behind it."""
    if not walk.ids:
        damaged("picture data come before the JPEG frame header")
    walk.scans += 1
    if walk.scans > _SCANS_MAX:
        damaged(f"it has more than {_SCANS_MAX} JPEG scans")
    scanned = walk.scans * walk.width * walk.height
    if walk.scans > _SCANS_ALWAYS and scanned > _SCANNED_PIXELS_MAX:
        too_expensive(f"it has more than {walk.scans - 1} scans of the whole picture")
    components = _scanned_components(walk, header)
    count = len(components)
    first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
    if not walk.progressive:
        first, last, approximation = 0, _COEFFICIENTS - 1, 0
    for i in components:
        sent = walk.precision.setdefault(i, {})
        for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1):
            sent[coefficient] = approximation & 15
    found = _MARKER_IN_SCAN.search(source, start)
    end = found.start() if found else len(source)
    if walk.restart_interval:
        expected = -(-_mcus(walk, components) // walk.restart_interval) - 1
        met = sum(1 for _ in _RESTART.finditer(source, start, end))
        if met < expected:
            if found is None:
                truncated("the picture data are incomplete")
            damaged("parts of the picture data are missing")
    return end


def _scanned_components(walk: _Walk, header: bytes) -> list[int]:
    """The indices of the components in a scan. Equal ids are taken in their order."""
    count = header[0] if header else 0
    if not 1 <= count <= 4 or len(header) < 4 + 2 * count:
        damaged("a JPEG scan header is too short")
    found: list[int] = []
    for i in range(count):
        identifier = header[1 + 2 * i]
        matching = [n for n, known in enumerate(walk.ids) if known == identifier and n not in found]
        if not matching:
            damaged("a JPEG scan names a channel that does not exist")
        found.append(matching[0])
    return found


def _mcus(walk: _Walk, components: list[int]) -> int:
    """How many units a scan has (ISO/IEC 10918-1 A.2): blocks if it holds one component alone."""
    h_max, v_max = (max(s[i] for s in walk.sampling) for i in (0, 1))
    if len(components) > 1:
        return -(-walk.width // (8 * h_max)) * -(-walk.height // (8 * v_max))
    h, v = walk.sampling[components[0]]
    across = -(-walk.width * h // h_max)
    down = -(-walk.height * v // v_max)
    return -(-across // 8) * -(-down // 8)


class JpegPhoto(Photo):
    """A JPEG. It is decoded to 1/2, 1/4 or 1/8, in the DCT, where that is enough."""

    def _load(self, covering: Size) -> None:
        _decode(self.file, covering)
        last = self.file.getpixel((self.file.width - 1, self.file.height - 1))
        if last in _MID_GREYS or not self.structure.end_is_known:
            self._check_complete(covering)

    def decoded_size(self, covering: Size) -> Size:
        """The size of what `still` gives, by the rule of Pillow's `draft`."""
        width, height = self.structure.size
        factor = min(width // max(covering[0], 1), height // max(covering[1], 1))
        scale = next(s for s in (8, 4, 2, 1) if factor >= s or s == 1)
        return -(-width // scale), -(-height // scale)

    @property
    def size(self) -> Size:
        """The size of the whole picture; `file.size` may be smaller."""
        return self.structure.size

    def _check_complete(self, covering: Size) -> None:
        """Decodes once more, with further bits before EOI.

        libjpeg paints what it has no data for in mid-grey (all coefficients zero) and reports
        nothing, so an incomplete picture ends in mid-grey. Further bits change the picture only if
        some of it was painted. Not found: a progressive JPEG whose very last scan is cut short and
        ended properly. It lacks the finest detail in part of the picture, and nothing is grey.
        """
        from PIL import ImageChops

        again = _open(self.pixels[:-2] + _FURTHER_BITS + self.pixels[-2:])
        _decode(again, covering)
        difference = ImageChops.difference(self.file, again)
        if difference.getbbox(alpha_only=False) is not None:
            truncated("the picture data end before the picture does")


_FURTHER_BITS = b"\x55\x2a\x93\x6c" * 256


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    pixels = structure.pixels or source
    with rejecting():
        return JpegPhoto(_open(pixels), structure, pixels)


def _open(pixels: bytes) -> ImageFile.ImageFile:
    from PIL.JpegImagePlugin import JpegImageFile

    file = JpegImageFile(io.BytesIO(pixels))
    # All data at once: libjpeg cannot stop within arithmetic-coded data to wait for more.
    file.decodermaxblock = max(len(pixels), 1)
    return file


def _decode(image: ImageFile.ImageFile, covering: Size) -> None:
    image.draft(None, covering)
    image.load()


FORMAT = InputFormat(
    name=SourceFormat.JPEG,
    content_types=("image/jpeg", "image/jpg", "image/pjpeg"),
    sniff=sniff,
    read=read,
    open=open_photo,
    adobe_rgb_by_exif=True,
)
