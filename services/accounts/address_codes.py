"""Codes that prove that a person reads the e-mails of an address, in the table `address_codes`.

An e-mail has a token in its link, and a short code to type. The table holds only their hashes. The
code has 40 bits, too few for a fast hash: scrypt makes each guess cost some 50 ms and 16 MiB, with
the address as salt. Attempts are limited (services/accounts/email_limits.py). A token has 256 bits.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from services.accounts.model import normalize_email
from services.platform.database import Database

TOKEN_BYTES = 32
TOKEN_CHARACTERS = 43
CODE_CHARACTERS = 8
# Crockford's alphabet, without letters that look like digits: https://www.crockford.com/base32.html
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES = str.maketrans("OIL", "011", " -")
# 16 MiB, what OpenSSL allows without a higher limit.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1


class Purpose(StrEnum):
    """What a code allows."""

    SIGN_UP = "sign-up"
    PASSWORD_RESET = "password-reset"  # noqa: S105  not a password

    @property
    def lifetime(self) -> timedelta:
        """How long a code is valid."""
        return timedelta(hours=24) if self is Purpose.SIGN_UP else timedelta(hours=1)


@dataclass(frozen=True)
class IssuedCode:
    """The secrets of one e-mail, which are not stored. `code` is as it is shown."""

    token: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True)
class Proof:
    """What a person sends from an e-mail: the token of its link, or address and code."""

    token: str | None = field(default=None, repr=False)
    email: str | None = None
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FoundCode:
    """A valid code and its address, as the person wrote it."""

    purpose: Purpose
    token_hash: str
    email: str


@dataclass(frozen=True)
class AddressCodes:
    """Issues, finds and uses codes. Every method may raise TransientError."""

    database: Database

    def issue(self, purpose: Purpose, email: str) -> IssuedCode:
        """Stores a new code for the address. Earlier ones stay valid until one is used."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        code = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_CHARACTERS))
        values = [_token_hash(token), purpose.value, email, _code_hash(purpose, email, code)]
        with self.database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO address_codes (token_hash, purpose, email, code_hash, expires_at) "
                "VALUES (%s, %s, %s, %s, now() + %s)",
                [*values, purpose.lifetime],
            )
        half = CODE_CHARACTERS // 2
        return IssuedCode(token, f"{code[:half]}-{code[half:]}")

    def find(self, purpose: Purpose, proof: Proof) -> FoundCode | None:
        """The valid code that `proof` proves; None if there is none. It stays valid."""
        if proof.token is not None:
            condition, values = "token_hash = %s", [_token_hash(proof.token)]
        else:
            email = proof.email or ""
            condition = 'lower(email COLLATE "C") = %s AND code_hash = %s'
            values = [normalize_email(email), _code_hash(purpose, email, proof.code or "")]
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT token_hash, email FROM address_codes "  # noqa: S608  constants
                f"WHERE purpose = %s AND expires_at > now() AND {condition}",
                [purpose.value, *values],
            )
            row = cursor.fetchone()
        return FoundCode(purpose, *row) if row else None

    @staticmethod
    def use(cursor: Any, found: FoundCode) -> bool:
        """Deletes all codes of the address for this purpose, in the transaction of what the code
        allows. Returns False if `found` was used meanwhile."""
        cursor.execute(
            'DELETE FROM address_codes WHERE purpose = %s AND lower(email COLLATE "C") = %s '
            "RETURNING token_hash",
            [found.purpose.value, normalize_email(found.email)],
        )
        return (found.token_hash,) in cursor.fetchall()

    def delete_expired(self) -> int:
        """Deletes codes that are no longer valid; returns their number."""
        with self.database.transaction() as cursor:
            cursor.execute("DELETE FROM address_codes WHERE expires_at <= now()")
            return int(cursor.rowcount)


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _code_hash(purpose: Purpose, email: str, code: str) -> str:
    """Tolerates lower case, spaces, and letters that look like digits."""
    return hashlib.scrypt(
        code.upper().translate(_LOOK_ALIKES).encode(),
        salt=f"{purpose.value} {normalize_email(email)}".encode(),
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=_SCRYPT_P,
    ).hex()
