"""Passwords: which are accepted, how they are kept, how they are compared."""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from services.accounts.model import (
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    same_address,
)
from services.platform.errors import PermanentError

# OWASP's least, which is meant for servers that do much else:
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
MEMORY_KIB = 19 * 1024
ITERATIONS = 2
PARALLELISM = 1

_HASHER = PasswordHasher(time_cost=ITERATIONS, memory_cost=MEMORY_KIB, parallelism=PARALLELISM)
# Of a password that nobody knows, made with the parameters above: what is compared for an address
# without an account, so that it takes as long as one with an account.
NOBODYS_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$FYywftcHCiQE5FvzBDPCAQ$"
    "xJtYOUMI6lRtNqq7N9XoDdnIkwyRloyc30xluGNPAq0"
)


def objection(password: str, email: str) -> str | None:
    """What is expected of a new password that this one is not; None when it is good."""
    if not PASSWORD_CHARACTERS_MIN <= len(_plain(password)) <= PASSWORD_CHARACTERS_MAX:
        return f"{PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters"
    if same_address(password) == same_address(email):
        return "something else than the e-mail address"
    return None


def hashed(password: str) -> str:
    """The password as it is kept: argon2id, with its parameters and a salt of its own."""
    return _HASHER.hash(_plain(password))


def matches(password: str, kept: str) -> bool:
    """Whether `kept` was made of this password. Takes the same work whatever the answer.

    Raises PermanentError when `kept` is no hash.
    """
    try:
        return _HASHER.verify(kept, _plain(password))
    except VerifyMismatchError:
        return False
    except InvalidHashError:
        raise PermanentError("expected an argon2 hash in the account, got something else") from None


def is_outdated(kept: str) -> bool:
    """Whether `kept` was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


def _plain(password: str) -> str:
    """One form for all ways to type the same characters, as NIST asks."""
    return unicodedata.normalize("NFKC", password)
