"""Tells a photo's format from its first bytes, against the allow-list of `SourceFormat`.

Signatures: JPEG ISO/IEC 10918-1 B.1.1.3 (SOI, then a marker); PNG ISO/IEC 15948 5.2; WebP RFC 9649
2.3; GIF87a and GIF89a specifications; TIFF 6.0 section 2 and BigTIFF; HEIF ISO/IEC 23008-12 and
AVIF 1.1 by the brands in `ftyp`.
"""

from __future__ import annotations

from services.imaging.model import PhotoRejected, RejectionReason, SourceFormat

ACCEPTED = "JPEG, PNG, WebP, GIF, TIFF, HEIC or AVIF"

_HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_AVIF_BRANDS = frozenset((b"avif", b"avis"))

# Known to be something else: named in the message, so that its owner knows what to do.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BM", "a BMP picture"),
    (b"8BPS", "a Photoshop document"),
    (b"%!PS", "a PostScript document"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"SIMPLE  =", "a FITS picture"),
    (b"\x1aE\xdf\xa3", "a video"),
)
_PICTURES = ("picture", "icon", "Photoshop", "video")


def sniff(source: bytes) -> SourceFormat:
    """The format of `source`. Raises PhotoRejected: empty, not-an-image or unsupported-format."""
    if not source:
        raise PhotoRejected(
            RejectionReason.EMPTY,
            "The file is empty. The upload probably broke off: please upload it again.",
        )
    if source.startswith(b"\xff\xd8\xff"):
        return SourceFormat.JPEG
    if source.startswith(b"\x89PNG\r\n\x1a\n"):
        return SourceFormat.PNG
    if source.startswith((b"GIF87a", b"GIF89a")):
        return SourceFormat.GIF
    if source.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return SourceFormat.TIFF
    if source[:4] == b"RIFF" and source[8:12] == b"WEBP":
        return SourceFormat.WEBP
    if source[4:8] == b"ftyp":
        return _sniff_brands(source)
    for signature, name in _OTHERS:
        if source.startswith(signature):
            pictured = any(word in name for word in _PICTURES)
            raise PhotoRejected(
                RejectionReason.UNSUPPORTED_FORMAT if pictured else RejectionReason.NOT_AN_IMAGE,
                f"Expected a photo ({ACCEPTED}), but the file is {name}. "
                "Please export it as JPEG and upload that.",
            )
    raise PhotoRejected(
        RejectionReason.NOT_AN_IMAGE,
        f"Expected a photo ({ACCEPTED}), but the file's content is none of these, whatever its "
        "name says. Please choose a photo.",
    )


def _sniff_brands(source: bytes) -> SourceFormat:
    # The major brand first, then the compatible ones: `mif1` alone does not say which codec.
    size = min(max(int.from_bytes(source[:4], "big"), 16), 256)
    brands = [source[8:12], *(source[i : i + 4] for i in range(16, size - 3, 4))]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return SourceFormat.AVIF
    if any(brand in _HEIF_BRANDS for brand in brands):
        return SourceFormat.HEIF
    raise PhotoRejected(
        RejectionReason.UNSUPPORTED_FORMAT,
        f"Expected a photo ({ACCEPTED}), but the file is a video or another kind of media. "
        "Please upload a still photo.",
    )
