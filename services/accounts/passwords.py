"""Password requirements, hashing and verification."""

from __future__ import annotations

import re
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from services.accounts.common_passwords import is_common
from services.accounts.model import (
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    normalize_email,
)
from services.platform.errors import PermanentError

# OWASP's minimum parameters:
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
MEMORY_KIB = 19 * 1024
ITERATIONS = 2
PARALLELISM = 1

_HASHER = PasswordHasher(time_cost=ITERATIONS, memory_cost=MEMORY_KIB, parallelism=PARALLELISM)
# The hash of a random password, made with the parameters above. Sign-in verifies it for an address
# without an account, so that the response takes as long as for an existing account.
DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$FYywftcHCiQE5FvzBDPCAQ$"
    "xJtYOUMI6lRtNqq7N9XoDdnIkwyRloyc30xluGNPAq0"
)


def unmet_requirement(password: str, email: str) -> str | None:
    """The requirement that a new password does not meet; None when it meets all of them."""
    normalized = _normalize(password)
    # Spaces in a row count as one (OWASP ASVS 2.1.1), and all of them are hashed.
    if (
        len(re.sub(" +", " ", normalized)) < PASSWORD_CHARACTERS_MIN
        or len(normalized) > PASSWORD_CHARACTERS_MAX
    ):
        return f"{PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters"
    if normalize_email(password) == normalize_email(email):
        return "not the e-mail address"
    if is_common(normalized):
        return (
            "a password that is hard to guess; this one or a similar one is in lists of common "
            "passwords"
        )
    return None


def hash_password(password: str) -> str:
    """An argon2id hash of `password` with a random salt, in the encoded form with parameters."""
    return _HASHER.hash(_normalize(password))


def matches(password: str, password_hash: str) -> bool:
    """Whether `password_hash` is a hash of `password`. Costs the same for both results.

    Raises PermanentError when `password_hash` is not an argon2 hash.
    """
    try:
        return _HASHER.verify(password_hash, _normalize(password))
    except VerifyMismatchError:
        return False
    except InvalidHashError:
        raise PermanentError("the account's password hash is not an argon2 hash") from None


def needs_rehash(password_hash: str) -> bool:
    """Whether `password_hash` was made with other parameters than the current ones."""
    return _HASHER.check_needs_rehash(password_hash)


def _normalize(password: str) -> str:
    """NFKC, so that equal characters match however they were typed (NIST SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
