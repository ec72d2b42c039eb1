"""Writes the list of common passwords that services/accounts/common_passwords refuses.

    pip install --target /tmp/zxcvbn zxcvbn==4.5.0
    PYTHONPATH=/tmp/zxcvbn python -m services.build.common_passwords

The source is zxcvbn for Python (https://github.com/dwolfhub/zxcvbn-python, MIT licence): its 30,000
most frequent passwords, from leaked databases, and its 30,000 most frequent words of the English
Wikipedia.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from services.accounts.common_passwords import ADDED_CHARACTERS_MAX, LIST, digest
from services.accounts.model import PASSWORD_CHARACTERS_MIN

# A shorter word is too short to be a password, even with digits added.
WORD_CHARACTERS_MIN = PASSWORD_CHARACTERS_MIN - ADDED_CHARACTERS_MAX


def packed(passwords: Iterable[str], words: Iterable[str]) -> bytes:
    """The content of the list: the entries of all passwords, and of words that are long enough."""
    known = {password.casefold() for password in passwords}
    known |= {word.casefold() for word in words if len(word) >= WORD_CHARACTERS_MIN}
    return b"".join(sorted({digest(text) for text in known}))


if __name__ == "__main__":
    lists = importlib.import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS
    LIST.write_bytes(packed(lists["passwords"], lists["english_wikipedia"]))
