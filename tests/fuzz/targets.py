"""What is fuzzed: the structure reader of every format, the readers of metadata and profiles, and
`develop`. A target takes any bytes and raises nothing but PhotoRejected, which it catches itself.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from pathlib import Path

from services.imaging import icc, metadata
from services.imaging.develop import develop
from services.imaging.formats import registry, trailer
from services.imaging.formats.structure import InputFormat
from services.imaging.limits import WorkBudget
from services.imaging.model import Limits, PhotoRejected, Recipe, RenditionSpec
from tests.support import damaged_photos, icc_profiles, photos

Target = Callable[[bytes], object]

DATA = Path(__file__).resolve().parents[1] / "data"
# Inputs that once failed, as TARGET-NAME; every target's tests run them again.
FOUND = DATA / "found"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RECIPE = Recipe(renditions=(RenditionSpec("thumb", 64),))
_LIMITS = Limits(pixels_per_frame_max=1_000_000, pixels_in_all_max=2_000_000, frames_max=8)


def _reader(known: InputFormat) -> Target:
    def read(data: bytes) -> None:
        if not known.sniff(data):
            return
        with contextlib.suppress(PhotoRejected):
            structure = known.read(data, WorkBudget(len(data)))
            assert 0 <= structure.end <= len(data)
            trailer.check(data, structure.end, end_is_known=structure.end_is_known)

    return read


def _png(data: bytes) -> None:
    read = _reader(registry.FORMATS[1])
    read(data)
    read(with_checksums(data))


def _metadata(data: bytes) -> None:
    metadata.read(data, data, data)
    metadata.read(b"II*\0" + data)


def _develop(data: bytes) -> None:
    with contextlib.suppress(PhotoRejected):
        develop(with_checksums(data), _RECIPE, _LIMITS)


def with_checksums(data: bytes) -> bytes:
    """A PNG with the checksum of every chunk made right; other data as they are. A fuzzer that
    changes a byte would else be stopped by the checksum."""
    if not data.startswith(_PNG_SIGNATURE):
        return data
    mended = bytearray(data)
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(mended):
        end = position + 8 + int.from_bytes(mended[position : position + 4], "big")
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = zlib.crc32(mended[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(mended)


TARGETS: dict[str, Target] = {
    **{known.name.value: _reader(known) for known in registry.FORMATS},
    "png": _png,
    "metadata": _metadata,
    "icc": icc.read,
    "develop": _develop,
}


def seeds(target: str) -> dict[str, bytes]:
    """The files that a target starts from, by name."""
    if target == "icc":
        return {
            "rgb": icc_profiles.rgb_profile(icc_profiles.P3, icc_profiles.GAMMA_SRGB),
            "grey": icc_profiles.grey_profile(2.2),
            "cmyk": icc_profiles.cmyk_profile(),
        }
    if target == "metadata":
        return {"exif": photos.full_exif()}
    files = dict(damaged_photos.valid_files())
    files |= {path.name: path.read_bytes() for path in sorted((DATA / "pictures").iterdir())}
    if target == "develop":
        return files
    (known,) = (f for f in registry.FORMATS if f.name.value == target)
    return {name: data for name, data in files.items() if known.sniff(data)}
