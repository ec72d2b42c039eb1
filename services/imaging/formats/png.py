"""PNG and APNG (ISO/IEC 15948; PNG third edition for cICP and APNG).

The reader checks every chunk that the picture needs. The decoder gets these chunks alone: text,
profiles and private chunks may be large or damaged, and the picture is sound all the same. Colour
comes from cICP, else iCCP, else sRGB, else gAMA and cHRM, in this order (third edition, 4.3).
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass, field

from services.imaging import coded_colour
from services.imaging.formats.photo import Photo, rejecting
from services.imaging.formats.structure import InputFormat, Size, Structure, damaged, truncated
from services.imaging.limits import WorkBudget
from services.imaging.model import SourceFormat

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY_KINDS = (0, 4)
# Adam7: left, top, step across, step down of each pass (ISO/IEC 15948 8.2).
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
_UNPACKED_BYTES_AT_ONCE = 1 << 20
_PROFILE_BYTES_MAX = 4 << 20
_EXIF_BYTES_MAX = 1 << 20
_EXIF_TEXT = re.compile(rb"Raw profile type (?:exif|APP1|app1)")
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_DECODED = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"))
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))


@dataclass
class _Chunks:
    """What the chunks have said so far. `parts` are those that the decoder gets, by name."""

    width: int = 0
    height: int = 0
    depth: int = 0
    kind: int = 0
    is_interlaced: bool = False
    has_data: bool = False
    announced_frames: int = 0
    plays: bytes = bytes(4)
    shown_frames: int = 0
    frame_has_data: bool = True
    animation_has_ended: bool = False  # at a damaged chunk
    parts: list[tuple[bytes, memoryview]] = field(default_factory=list)
    texts: dict[bytes, bytes] = field(default_factory=dict)
    # The ancillary chunks that are read here: colour and EXIF. The first of each counts.
    facts: dict[bytes, bytes] = field(default_factory=dict)


_FACTS = frozenset((b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf"))


def sniff(source: bytes) -> bool:
    """Whether `source` starts as PNG does."""
    return source.startswith(_SIGNATURE)


def read(source: bytes, budget: WorkBudget) -> Structure:
    """The structure of `source`. Raises PhotoRejected."""
    view = memoryview(source)
    chunks = _Chunks()
    position = len(_SIGNATURE)
    name = b""
    while name != b"IEND":
        budget.spend()
        if position + 12 > len(source):
            truncated("the PNG end mark is missing")
        length = int.from_bytes(view[position : position + 4], "big")
        name = bytes(view[position + 4 : position + 8])
        end = position + 12 + length
        if end > len(source):
            truncated("a PNG chunk is cut off")
        whole = view[position:end]
        is_sound = zlib.crc32(whole[4:-4]) == int.from_bytes(whole[-4:], "big")
        if (name == b"IHDR") != (position == len(_SIGNATURE)):
            damaged("its PNG header is not where it should be")
        position = end
        if is_sound:
            _chunk(chunks, name, whole)
        elif not name[0] & 0x20:
            damaged("a PNG checksum does not match")
        elif name in _ANIMATION:
            _end_animation(chunks, name)
    if not chunks.has_data:
        truncated("it has no picture data")
    frames = min(chunks.announced_frames, chunks.shown_frames)
    pixels = _decoder_input(chunks, frames)
    channels = 4 if chunks.kind in (3, 4, 6) or b"tRNS" in dict(chunks.parts) else 3
    return Structure(
        chunks.width,
        chunks.height,
        max(frames, 1),
        position,
        exif=_exif(chunks),
        xmp=chunks.texts.get(_XMP_KEYWORD),
        icc=_icc(chunks),
        pixels=pixels,
        bytes_per_pixel=(12 if frames > 1 else 4) + (channels > 3) * 4,
        fixed_bytes=len(pixels),
    )


def _end_animation(chunks: _Chunks, name: bytes) -> None:
    """Ends the animation with the frame before the damaged chunk."""
    if name == b"fdAT" and chunks.frame_has_data and not chunks.animation_has_ended:
        chunks.shown_frames -= 1  # the rest of a frame that has begun
    chunks.animation_has_ended = True


def _chunk(chunks: _Chunks, name: bytes, whole: memoryview) -> None:
    body = whole[8:-4]
    if name in _ANIMATION and chunks.animation_has_ended:
        return
    if name == b"IHDR":
        _header(chunks, body)
    elif name == b"acTL" and len(body) == 8 and not chunks.has_data:
        chunks.announced_frames = int.from_bytes(body[:4], "big")
        chunks.plays = bytes(body[4:])
    elif name == b"fcTL":
        if not chunks.frame_has_data:
            return  # the frame before has no data: it cannot be shown
        chunks.frame_has_data = False
    elif name in (b"IDAT", b"fdAT"):
        chunks.has_data = chunks.has_data or name == b"IDAT"
        if not chunks.frame_has_data:
            chunks.frame_has_data = True
            chunks.shown_frames += 1
    elif name in _FACTS:
        if not chunks.has_data or name == b"eXIf":
            chunks.facts.setdefault(name, bytes(body))
    elif name in (b"tEXt", b"zTXt", b"iTXt"):
        _text(chunks, name, body)
    if name in _DECODED:
        chunks.parts.append((name, whole))


def _header(chunks: _Chunks, body: memoryview) -> None:
    if len(body) != 13:
        damaged("its PNG header has the wrong length")
    chunks.width = int.from_bytes(body[:4], "big")
    chunks.height = int.from_bytes(body[4:8], "big")
    chunks.depth, chunks.kind, chunks.is_interlaced = body[8], body[9], bool(body[12])
    if not chunks.width or not chunks.height:
        damaged("it has no width or no height")


def _decoder_input(chunks: _Chunks, frames: int) -> bytes:
    """The file without what the decoder does not need, and with the right number of frames."""
    parts: list[bytes | memoryview] = [_SIGNATURE]
    for name, whole in chunks.parts:
        if frames <= 1 and name in _ANIMATION:
            continue
        if name == b"acTL":
            body = name + frames.to_bytes(4, "big") + chunks.plays
            whole = memoryview(b"\0\0\0\x08" + body + zlib.crc32(body).to_bytes(4, "big"))
        parts.append(whole)
    return b"".join(parts)


def _inflated(data: bytes | memoryview, bytes_max: int) -> bytes | None:
    """`data` unpacked; None if they are damaged or larger than `bytes_max` then."""
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, bytes_max + 1)
    except zlib.error:
        return None
    return unpacked if len(unpacked) <= bytes_max else None


def _text(chunks: _Chunks, name: bytes, body: memoryview) -> None:
    keyword, _, _ = bytes(body[:80]).partition(b"\0")
    wanted = keyword == _XMP_KEYWORD or _EXIF_TEXT.fullmatch(keyword)
    if not wanted or keyword in chunks.texts:
        return
    rest = body[len(keyword) + 1 :]
    value: bytes | None
    if name == b"tEXt":
        value = bytes(rest[:_EXIF_BYTES_MAX])
    elif name == b"zTXt":
        value = _inflated(rest[1:], _EXIF_BYTES_MAX)
    else:  # compression flag and method, language, translated keyword, text
        is_packed = rest[:1].tobytes() == b"\1"
        fields = bytes(rest[2 : 2 + _EXIF_BYTES_MAX]).split(b"\0", 2)
        value = fields[2] if len(fields) == 3 else None
        if is_packed and value is not None:
            value = _inflated(value, _EXIF_BYTES_MAX)
    if value is not None:
        chunks.texts[keyword] = value


def _exif(chunks: _Chunks) -> bytes | None:
    if b"eXIf" in chunks.facts:
        return chunks.facts[b"eXIf"]
    for keyword, text in chunks.texts.items():
        if keyword == _XMP_KEYWORD:
            continue
        # ImageMagick's form: a line feed, the profile's name, which may have a space, its length,
        # and lines of hex digits.
        lines = text.strip().split(b"\n", 2)
        try:
            return bytes.fromhex(lines[2].decode("ascii")) if len(lines) == 3 else None
        except ValueError:
            return None
    return None


def _icc(chunks: _Chunks) -> bytes | None:
    is_grey = chunks.kind in _GREY_KINDS
    cicp = chunks.facts.get(b"cICP", b"")
    if len(cicp) == 4 and coded_colour.is_known(cicp[0], cicp[1]):
        return coded_colour.profile(cicp[0], cicp[1], is_grey=is_grey)
    embedded = chunks.facts.get(b"iCCP")
    if embedded is not None:
        packed = embedded.partition(b"\0")[2][1:]
        found = _inflated(packed, _PROFILE_BYTES_MAX)
        if found is not None:
            return found
    if b"sRGB" in chunks.facts:
        return None
    gamma, chromaticities = chunks.facts.get(b"gAMA", b""), chunks.facts.get(b"cHRM", b"")
    if len(gamma) != 4:
        return None
    xy = [int.from_bytes(chromaticities[i : i + 4], "big") / 100_000 for i in range(0, 32, 4)]
    return coded_colour.profile_of_gamma(
        int.from_bytes(gamma, "big") / 100_000,
        xy if len(chromaticities) == 32 else None,
        is_grey=is_grey,
    )


class PngPhoto(Photo):
    """A PNG. Pillow leaves rows for which there are no data black or empty, which is checked."""

    @property
    def _shows_default_image(self) -> bool:
        # APNG: a picture for programs that cannot animate, and no part of the animation.
        has_default = bool(getattr(self.file, "default_image", False))
        return has_default and getattr(self.file, "n_frames", 1) > 1

    def _first_frame(self) -> int:
        return 1 if self._shows_default_image else 0

    def _load(self, covering: Size) -> None:  # noqa: ARG002
        if self._shows_default_image:
            self.file.seek(1)
            self.file.load()
            return
        self.file.load()
        right, bottom = self.file.width - 1, self.file.height - 1
        # An incomplete picture ends in zeros. Two rows, as an interlaced PNG sends every other
        # row last.
        ends = (self.file.getpixel((right, row)) for row in (bottom, max(0, bottom - 1)))
        if any(_is_zero(pixel) for pixel in ends) and not is_complete(self.pixels):
            truncated("the picture data end before the picture does")


def _is_zero(pixel: object) -> bool:
    return not any(pixel) if isinstance(pixel, tuple) else pixel == 0


def is_complete(source: bytes) -> bool:
    """Whether the picture data unpack to as many bytes as width, height and depth ask for.

    `source` has a structure that `read` has passed. May raise zlib.error.
    """
    view = memoryview(source)
    width, height = (int.from_bytes(view[i : i + 4], "big") for i in (16, 20))
    depth, kind, interlaced = view[24], view[25], view[28]
    bits = depth * _CHANNELS.get(kind, 0)
    needed = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            needed += rows * (1 + -(-columns * bits // 8))
    unpacker = zlib.decompressobj()
    unpacked = 0
    position = len(_SIGNATURE)
    while position + 12 <= len(source) and unpacked < needed:
        length = int.from_bytes(view[position : position + 4], "big")
        if source[position + 4 : position + 8] == b"IDAT":
            waiting: bytes | memoryview = view[position + 8 : position + 8 + length]
            while waiting and unpacked < needed and not unpacker.eof:
                unpacked += len(unpacker.decompress(waiting, _UNPACKED_BYTES_AT_ONCE))
                waiting = unpacker.unconsumed_tail
        position += 12 + length
    # A last call, limited: `flush` would unpack all that is left, however much that is.
    if unpacked < needed and not unpacker.eof:
        unpacked += len(unpacker.decompress(b"", needed - unpacked))
    return unpacked >= needed


def open_photo(source: bytes, structure: Structure) -> Photo:
    """The decoder. Raises PhotoRejected."""
    from PIL.PngImagePlugin import PngImageFile

    pixels = structure.pixels or source
    with rejecting():
        return PngPhoto(PngImageFile(io.BytesIO(pixels)), structure, pixels)


FORMAT = InputFormat(
    name=SourceFormat.PNG,
    content_types=("image/png", "image/x-png"),
    sniff=sniff,
    read=read,
    open=open_photo,
    is_animated=True,
)
