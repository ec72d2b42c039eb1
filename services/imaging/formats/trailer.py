"""What may follow a picture in its file, and what may not.

Phones append to photos: the further pictures of CIPA DC-007 (Multi-Picture Format), the video of
the Motion Photo format 1.0 (developer.android.com/media/platform/motion-photo-format), Samsung's
blocks that end in "SEFT". A polyglot appends a document that another program would open: a file
that is a photo here and an archive or a page elsewhere.

The rule refuses what other programs recognize as theirs (ZIP by its end record as in PKWARE's
APPNOTE 4.3.16, wherever it starts; PDF in the first 1,024 bytes, where readers look for it
(ISO 32000-1 annex H.3, note 13), or behind the picture; programs and archives right behind the
picture; markup anywhere behind it), and unknown data larger than `UNKNOWN_BYTES_MAX`. Markup counts
only in text: compressed bytes, such as those of a Motion Photo's video, contain it by chance. Text
inside metadata needs no rule: no metadata reach a rendition.
"""

from __future__ import annotations

import re

from services.imaging.model import PhotoRejected, RejectionReason

UNKNOWN_BYTES_MAX = 1024 * 1024

_ZIP_END_BYTES = 22
_ZIP_COMMENT_BYTES_MAX = 65_535
_PDF_HEAD_BYTES = 1_024
_MARKUP = re.compile(rb"<html|<script|<!doctype|<\?php|<svg|%!PS-Adobe", re.IGNORECASE)
_PDF = re.compile(rb"%PDF-\d\.\d")
# So many bytes from where markup starts must be text. By chance they are once in 10^7 matches.
_TEXT_BYTES = 20
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]*")
_FOREIGN_AT_START = (
    b"MZ", b"#!", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ", b"\x7fELF", b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
)  # fmt: skip
_PADDING = b"\x00\xff \t\r\n"


def check(source: bytes, end: int, *, end_is_known: bool = True) -> None:
    """Checks what follows offset `end` of `source`. Raises PhotoRejected (polyglot).

    If the end is not known, the picture's last bytes follow `end` as well, and only markup and
    archives are searched for.
    """
    if _ends_as_zip(source):
        _reject("a ZIP archive")
    if b"%PDF-" in source[:_PDF_HEAD_BYTES]:
        _reject("a PDF document")
    if end >= len(source):
        return
    markup = (match.start() for match in _MARKUP.finditer(source, end))
    if _PDF.search(source, end) or any(_is_text(source, at) for at in markup):
        _reject("a document or program")
    if not end_is_known:
        return
    rest = source[end:].lstrip(_PADDING)
    if rest.startswith(_FOREIGN_AT_START):
        _reject("an archive or program")
    if len(rest) > UNKNOWN_BYTES_MAX and not _is_known(rest):
        _reject(f"{len(rest):,} bytes of unknown data")


def _is_text(source: bytes, at: int) -> bool:
    part = source[at : at + _TEXT_BYTES]
    return _TEXT.fullmatch(part) is not None


def _is_known(rest: bytes) -> bool:
    return (
        # lstrip takes the 0xFF of a further JPEG, and the zeros of a box's length
        rest.startswith((b"\xd8\xff", b"\xd8"))
        or b"ftyp" in rest[:16]
        or b"mpvd" in rest[:16]
        or rest.endswith(b"SEFT")
        or rest.startswith((b"MotionPhoto_Data", b"SEFH"))
    )


def _ends_as_zip(source: bytes) -> bool:
    tail = source[-(_ZIP_END_BYTES + _ZIP_COMMENT_BYTES_MAX) :]
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        directory = int.from_bytes(tail[at + 12 : at + 16], "little")
        if at + _ZIP_END_BYTES + comment <= len(tail) and directory <= len(source):
            return True
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return False


def _reject(what: str) -> None:
    raise PhotoRejected(
        RejectionReason.POLYGLOT,
        f"The file is a photo with {what} hidden in it. Please export the photo again from a photo "
        "program, and upload that.",
    )
