"""The registry of input formats, and the recognition of a file's format by its first bytes.

A new format is a name in `SourceFormat`, a module that has an `InputFormat`, and a line here.
"""

from __future__ import annotations

from services.imaging.formats import avif, gif, heif, isobmff, jpeg, png, tiff, webp
from services.imaging.formats.structure import InputFormat, camera_raw
from services.imaging.model import PhotoRejected, RejectionReason

# In the order in which they are tried: AVIF before HEIF, whose generic brands AVIF files have too.
FORMATS: tuple[InputFormat, ...] = (
    jpeg.FORMAT,
    png.FORMAT,
    webp.FORMAT,
    gif.FORMAT,
    avif.FORMAT,
    heif.FORMAT,
    tiff.FORMAT,
)
ACCEPTED = "JPEG, PNG, WebP, GIF, TIFF, HEIC or AVIF"

# Formats that are refused by name, so that the owner knows what to do.
_OTHERS: tuple[tuple[bytes, str, RejectionReason], ...] = (
    (b"%PDF-", "a PDF document", RejectionReason.NOT_AN_IMAGE),
    (b"PK\x03\x04", "a ZIP archive", RejectionReason.NOT_AN_IMAGE),
    (b"BM", "a BMP picture", RejectionReason.UNSUPPORTED_FORMAT),
    (b"8BPS", "a Photoshop document", RejectionReason.UNSUPPORTED_FORMAT),
    (b"%!PS", "a PostScript document", RejectionReason.NOT_AN_IMAGE),
    (b"\x00\x00\x01\x00", "an icon", RejectionReason.UNSUPPORTED_FORMAT),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture", RejectionReason.UNSUPPORTED_FORMAT),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", RejectionReason.UNSUPPORTED_FORMAT),
    (b"\xff\x0a", "a JPEG XL picture", RejectionReason.UNSUPPORTED_FORMAT),
    (b"SIMPLE  =", "a FITS picture", RejectionReason.UNSUPPORTED_FORMAT),
    (b"\x1aE\xdf\xa3", "a video", RejectionReason.UNSUPPORTED_FORMAT),
)
# Camera raw files with a signature of their own. Those that are TIFF files (DNG, NEF, ARW, PEF and
# more) are recognized by their tags, in `tiff`.
_CAMERA_RAW: tuple[tuple[bytes, str], ...] = (
    (b"FUJIFILMCCD-RAW", "Fujifilm RAF"),
    (b"IIRO", "Olympus ORF"),
    (b"IIRS", "Olympus ORF"),
    (b"MMOR", "Olympus ORF"),
    (b"IIU\x00", "Panasonic RW2"),
    (b"FOVb", "Sigma X3F"),
    (b"\x00MRM", "Minolta MRW"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", "Canon CRW"),
    (b"II*\x00\x10\x00\x00\x00CR", "Canon CR2"),
)


def sniff(source: bytes) -> InputFormat:
    """The format of `source`. Raises PhotoRejected: empty, not-an-image or unsupported-format."""
    if not source:
        raise PhotoRejected(
            RejectionReason.EMPTY,
            "The file is empty. The upload was probably interrupted: please upload it again.",
        )
    for signature, maker in _CAMERA_RAW:
        if source.startswith(signature):
            camera_raw(maker)
    brands = isobmff.brands(source)
    if b"crx " in brands:
        camera_raw("Canon CR3")
    for known in FORMATS:
        if known.sniff(source):
            return known
    if brands:
        raise PhotoRejected(
            RejectionReason.UNSUPPORTED_FORMAT,
            f"Expected a photo ({ACCEPTED}), but the file is a video or another kind of media. "
            "Please upload a still photo.",
        )
    for signature, name, reason in _OTHERS:
        if source.startswith(signature):
            raise PhotoRejected(
                reason,
                f"Expected a photo ({ACCEPTED}), but the file is {name}. "
                "Please export it as JPEG and upload that.",
            )
    raise PhotoRejected(
        RejectionReason.NOT_AN_IMAGE,
        f"Expected a photo ({ACCEPTED}), but the file has none of these formats, whatever its "
        "name says. Please choose a photo.",
    )
