"""Recognizes passwords that an attacker tries first.

`list.bin` holds the first DIGEST_BYTES bytes of the SHA-256 of each known password, sorted. It
contains no password in plain text, and a lookup needs no network.
`services/build/common_passwords.py` generates the file and names its source and licence.
"""

from __future__ import annotations

import functools
import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_name("list.bin")
# 40 bits: of a million random passwords, fewer than one is refused by mistake.
DIGEST_BYTES = 5
# "password1234" is "password" with four characters added.
ADDED_CHARACTERS_MAX = 6
# Three or more repetitions of so few characters are refused, whatever the characters are.
REPEATED_CHARACTERS_MAX = 4
_SEQUENCES = (
    "0123456789" * 3,
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "qwertyuiopasdfghjklzxcvbnm" * 2,
    "qwertzuiopasdfghjklyxcvbnm" * 2,
    "azertyuiopqsdfghjklmwxcvbn" * 2,
)
_SUBSTITUTES = str.maketrans("@4301$57!", "aaeoissti")


def digest(password: str) -> bytes:
    """The entry of a password in the list. `password` is in lower case."""
    return hashlib.sha256(password.encode()).digest()[:DIGEST_BYTES]


def is_common(password: str) -> bool:
    """Whether `password` is a known password or word, without regard to case, also with letters
    replaced by similar digits, repeated, or with at most ADDED_CHARACTERS_MAX digits and symbols
    around it; or a few characters repeated, or a sequence of the alphabet or a keyboard."""
    folded = password.casefold()
    return any(map(_is_listed, _forms(folded)))


def _forms(folded: str) -> Iterator[str]:
    for text in {folded, folded.translate(_SUBSTITUTES)}:
        yield text
        yield _unit(text)
    core = folded.strip("".join({c for c in folded if not c.isalpha()}))
    if core and len(folded) - len(core) <= ADDED_CHARACTERS_MAX:
        yield core
        yield _unit(core)
        yield core.translate(_SUBSTITUTES)


def _is_listed(text: str) -> bool:
    if _is_simple(text):
        return True
    digests, wanted = _digests(), digest(text)
    at = bisect_left(_Entries(digests), wanted) * DIGEST_BYTES
    return digests[at : at + DIGEST_BYTES] == wanted


def _is_simple(text: str) -> bool:
    """Whether `text` is short and comes from a repetition, or is a sequence."""
    if len(text) <= REPEATED_CHARACTERS_MAX:
        return True
    return any(text in sequence or text[::-1] in sequence for sequence in _SEQUENCES)


def _unit(text: str) -> str:
    """The shortest text of which `text` is a repetition: "abab" is one of "ab"."""
    return text[: (text + text).find(text, 1)]


@functools.cache
def _digests() -> bytes:
    return LIST.read_bytes()


class _Entries:
    """The list's entries as a sequence, for bisection."""

    def __init__(self, digests: bytes) -> None:
        self._digests = digests

    def __len__(self) -> int:
        return len(self._digests) // DIGEST_BYTES

    def __getitem__(self, index: int) -> bytes:
        return self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]
