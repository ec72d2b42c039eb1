"""The structure of a JPEG file (ISO/IEC 10918-1 annex B; JFIF; EXIF in APP1; ICC.1 annex B.4).

Walks every marker to EOI, so that a file which breaks off, lacks scans or lost restart intervals is
found out: libjpeg only warns about those and paints grey. The decoder is given the picture alone,
without metadata and without what follows EOI.

Further pictures behind EOI (CIPA DC-007, Multi-Picture Format) are not looked at, nor is their
index: programs that edit photos drop the pictures and leave the index behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from services.imaging.formats.structure import Structure, damaged, truncated
from services.imaging.model import PhotoRejected, RejectionReason

_SOI, _EOI, _SOS, _DRI, _DNL = 0xD8, 0xD9, 0xDA, 0xDD, 0xDC
_APP0, _APP1, _APP2, _APP14, _COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_DHT, _DAC, _DQT = 0xC4, 0xCC, 0xDB
_PROGRESSIVE = frozenset((0xC2, 0xCA))
# Baseline, extended and progressive, Huffman and arithmetic: what libjpeg decodes.
_DECODABLE = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_FRAMES = frozenset((*range(0xC0, 0xD0),)) - {_DHT, 0xC8, _DAC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
# In entropy-coded data 0xFF is followed by 0x00 (stuffing), a restart marker or fill bytes.
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_COEFFICIENTS = 64
# Every scan costs a pass over the whole picture, however few bytes it has. Encoders write 10 or so.
_SCANS_MAX = 100


@dataclass
class _Walk:
    """What has been met on the way through the markers."""

    width: int = 0
    height: int = 0
    components: dict[int, tuple[int, int]] = field(default_factory=dict)
    progressive: bool = False
    restart_interval: int = 0
    # Per component, the lowest bit not yet sent for each coefficient; none sent is absent.
    precision: dict[int, dict[int, int]] = field(default_factory=dict)
    exif: bytes | None = None
    icc_parts: dict[int, bytes] = field(default_factory=dict)
    kept: list[bytes] = field(default_factory=list)
    first_scan: int = 0
    scans: int = 0


def read(source: bytes) -> Structure:
    """The structure of the first picture in `source`. Raises PhotoRejected."""
    walk = _Walk()
    position = 2
    while True:
        marker, position = _next_marker(source, position)
        if marker == _EOI:
            break
        if marker in _ALONE:
            continue
        if marker == _SOI:
            damaged("a second JPEG picture begins inside the first")
        length = int.from_bytes(source[position : position + 2], "big")
        if position + max(length, 2) > len(source):
            truncated("a JPEG segment is cut off")
        if length < 2:
            damaged("a JPEG segment has no valid length")
        body = source[position + 2 : position + length]
        if marker == _SOS:
            walk.first_scan = walk.first_scan or position - 2
            position = _scan(walk, source, position + length, body)
        else:
            if not walk.first_scan:
                _segment(walk, marker, body, source[position - 2 : position + length])
            elif marker == _DRI:
                walk.restart_interval = int.from_bytes(body[:2], "big")
            position += length
    _check_complete(walk)
    pixels = b"".join((b"\xff\xd8", *walk.kept, source[walk.first_scan : position]))
    return Structure(
        width=walk.width,
        height=walk.height,
        frames=1,
        end=position,
        exif=walk.exif,
        icc=b"".join(walk.icc_parts[i] for i in sorted(walk.icc_parts)) or None,
        pixels=pixels,
    )


def with_more_entropy(pixels: bytes) -> bytes:
    """The same picture with bits to spare before EOI.

    A decoder that had all it needs ignores them; one that ran dry and painted grey decodes them,
    and shows another last pixel.
    """
    return pixels[:-2] + b"\x55\x2a\x93\x6c" * 256 + pixels[-2:]


def _next_marker(source: bytes, position: int) -> tuple[int, int]:
    if position + 2 > len(source):
        truncated("the JPEG end mark is missing")
    if source[position] != 0xFF:
        # libjpeg skips such bytes; cameras that miscount a segment by a few are in use.
        position = source.find(b"\xff", position, position + 64)
        if position < 0:
            damaged("a JPEG segment is not where it should be")
    while position < len(source) and source[position] == 0xFF:
        position += 1
    if position >= len(source):
        truncated("the JPEG end mark is missing")
    if source[position] == 0:
        damaged("a JPEG segment is not where it should be")
    return source[position], position + 1


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
        walk.kept.append(whole)  # libjpeg tells the colour space by these two
    elif marker == _APP1 and body.startswith(b"Exif\0") and walk.exif is None:
        walk.exif = body[6:]
    elif marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
        walk.icc_parts[body[12]] = body[14:]


def _frame(walk: _Walk, marker: int, body: bytes) -> None:
    if walk.components:
        damaged("it has two JPEG frame headers")
    count = body[5] if len(body) > 5 else 0
    if not count or len(body) < 6 + 3 * count:
        damaged("its JPEG frame header is too short")
    if marker not in _DECODABLE or body[0] != 8 or count not in (1, 3, 4):
        raise PhotoRejected(
            RejectionReason.UNSUPPORTED_FORMAT,
            "The file is a rare kind of JPEG (lossless, hierarchical, or not 8 bits a channel). "
            "Please export it as an ordinary JPEG and upload that.",
        )
    walk.height = int.from_bytes(body[1:3], "big")
    walk.width = int.from_bytes(body[3:5], "big")
    walk.progressive = marker in _PROGRESSIVE
    for i in range(6, 6 + 3 * count, 3):
        walk.components[body[i]] = (body[i + 1] >> 4, body[i + 1] & 15)
    if len(walk.components) != count or not all(h and v for h, v in walk.components.values()):
        damaged("its JPEG frame header contradicts itself")
    if not walk.width or not walk.height:
        damaged("it has no width or no height")


def _scan(walk: _Walk, source: bytes, start: int, header: bytes) -> int:
    """Checks one scan and gives the offset of the marker behind it."""
    if not walk.components:
        damaged("picture data come before the JPEG frame header")
    walk.scans += 1
    if walk.scans > _SCANS_MAX:
        damaged(f"it has more than {_SCANS_MAX} JPEG scans")
    count = header[0] if header else 0
    if not 1 <= count <= 4 or len(header) < 4 + 2 * count:
        damaged("a JPEG scan header is too short")
    ids = [header[1 + 2 * i] for i in range(count)]
    if any(i not in walk.components for i in ids):
        damaged("a JPEG scan names a channel that does not exist")
    first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
    if not walk.progressive:
        first, last, approximation = 0, _COEFFICIENTS - 1, 0
    for i in ids:
        sent = walk.precision.setdefault(i, {})
        for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1):
            sent[coefficient] = approximation & 15
    found = _MARKER_IN_SCAN.search(source, start)
    if found is None:
        truncated("the picture data break off")
    end = found.start()
    if walk.restart_interval:
        expected = -(-_mcus(walk, ids) // walk.restart_interval) - 1
        met = sum(1 for _ in _RESTART.finditer(source, start, end))
        if met < expected:
            damaged("parts of the picture data are missing")
    return end


def _mcus(walk: _Walk, ids: list[int]) -> int:
    """How many units a scan has (ISO/IEC 10918-1 A.2): blocks if it holds one component alone."""
    h_max = max(h for h, _ in walk.components.values())
    v_max = max(v for _, v in walk.components.values())
    if len(ids) > 1:
        return -(-walk.width // (8 * h_max)) * -(-walk.height // (8 * v_max))
    h, v = walk.components[ids[0]]
    across = -(-walk.width * h // h_max)
    down = -(-walk.height * v // v_max)
    return -(-across // 8) * -(-down // 8)


def _check_complete(walk: _Walk) -> None:
    if not walk.first_scan:
        truncated("it has no picture data")
    for i in walk.components:
        sent = walk.precision.get(i, {})
        if len(sent) < _COEFFICIENTS or any(sent.values()):
            truncated("some of its picture data never came")
