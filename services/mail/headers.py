"""The header block of an e-mail: serialized here, and checked before the e-mail is sent.

The email package parses the value of a header when it is set, and decodes encoded-words (RFC 2047)
in it. A file name that is an encoded-word could therefore add headers and a body. Here, text is
encoded and never parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.header import Header

from services.platform.errors import PermanentError

# RFC 5322 section 2.1.1.
LINE_BYTES_MAX = 998
_ENCODED_WORD = "=?"
_PLAIN_WORD_CHARACTERS = 60
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9-]*")
# One ASCII addr-spec (RFC 5321 section 4.1.2) without quoted strings, literals or encoded-words.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def one_line(text: str) -> str:
    """`text` in one line, without control, escape and bidirectional formatting characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def check_address(address: str) -> str:
    """Returns `address`. Raises PermanentError if it is not one plain e-mail address."""
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise PermanentError(
            f"{address[:80]!r} is not an e-mail address: expected one ASCII address, such as "
            "ada@example.com"
        )
    return address


def encode_text(name: str, text: str) -> str:
    """`text` as the value of the header `name`, encoded (RFC 2047) and folded where necessary.

    Text that looks like an encoded-word is encoded, so that mail programs show it literally.
    """
    line = one_line(text)
    # Only encoded text can be folded within a word.
    longest = max(map(len, line.split()), default=0)
    plain = line.isascii() and _ENCODED_WORD not in line and longest <= _PLAIN_WORD_CHARACTERS
    charset = "us-ascii" if plain else "utf-8"
    return Header(line, charset, header_name=name).encode(linesep="\r\n")


def serialize(headers: Mapping[str, str]) -> bytes:
    """The header block, without the blank line that ends it. Values are already encoded."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


def check_head(raw: bytes, expected: tuple[str, ...]) -> None:
    """Raises PermanentError unless the head of the e-mail `raw` has exactly the headers `expected`,
    in this order, in valid lines.
    """
    head, separator, _ = raw.partition(b"\r\n\r\n")
    names: list[str] = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            valid = bool(names) and bool(line.strip())
        else:
            name, colon, _ = line.partition(b": ")
            valid = bool(colon) and bool(_NAME.fullmatch(name))
            names.append(name.decode("ascii", "replace"))
        if not valid or len(line) > LINE_BYTES_MAX or not _is_clean(line):
            raise PermanentError(f"invalid line in the e-mail's head: {line[:80]!r}")
    if not separator or tuple(names) != expected:
        raise PermanentError(f"the e-mail has the headers {names}; expected {list(expected)}")


def _is_clean(line: bytes) -> bool:
    return all(byte == 0x09 or 0x20 <= byte < 0x7F for byte in line)
