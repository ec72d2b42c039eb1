"""What may follow a picture in its file, and what may not.

Phones append to photos: the further pictures of CIPA DC-007 (Multi-Picture Format), the video of
the Motion Photo format 1.0 (developer.android.com/media/platform/motion-photo-format), Samsung's
blocks that end in "SEFT". A polyglot appends a document that another program would open: a file
which is a photo to us and an archive or a page to somebody else.

The rule: nothing that other programs recognise as theirs (ZIP by its end record as in PKWARE's
APPNOTE 4.3.16, wherever it starts; PDF in the first 1,024 bytes, where readers look for it
(ISO 32000-1 annex H.3, note 13), or behind the picture; HTML, scripts, executables and other
archives behind the picture); and nothing unknown larger than `UNKNOWN_BYTES_MAX`. Text inside
metadata needs no rule: no metadata reach a rendition.
"""

from __future__ import annotations

import re

from services.imaging.model import PhotoRejected, RejectionReason

UNKNOWN_BYTES_MAX = 1024 * 1024

_ZIP_END_BYTES = 22
_ZIP_COMMENT_BYTES_MAX = 65_535
_PDF_HEAD_BYTES = 1_024
_FOREIGN = re.compile(
    rb"<html|<script|<!doctype|<\?php|<svg|%PDF-|%!PS-Adobe|\x7fELF[\x01\x02]|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c",
    re.IGNORECASE,
)
_FOREIGN_AT_START = (b"MZ", b"#!", b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ")
_PADDING = b"\x00\xff \t\r\n"


def check(source: bytes, end: int) -> None:
    """Looks at what follows offset `end` of `source`. Raises PhotoRejected (polyglot)."""
    if _ends_as_zip(source):
        _reject("a ZIP archive")
    if b"%PDF-" in source[:_PDF_HEAD_BYTES]:
        _reject("a PDF document")
    if end >= len(source):
        return
    found = _FOREIGN.search(source, end)
    if found:
        _reject("a document or program")
    rest = source[end:].lstrip(_PADDING)
    if rest.startswith(_FOREIGN_AT_START):
        _reject("an archive or program")
    if len(rest) > UNKNOWN_BYTES_MAX and not _is_known(rest):
        _reject(f"{len(rest):,} bytes of something else")


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
