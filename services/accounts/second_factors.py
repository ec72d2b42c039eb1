"""Second factors of accounts, in Postgres: the secret of an authenticator app, and recovery codes.

The secret is stored as it is, since each code is computed from it: see docs/security.md. Of
recovery codes, the table stores hashes; they have 120 random bits, so their hash needs no salt.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.accounts import totp
from services.platform import log
from services.platform.database import Database

RECOVERY_CODES = 10
RECOVERY_CHARACTERS = 24
_GROUP = 4
# Crockford's alphabet: https://www.crockford.com/base32.html
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES = str.maketrans("OIL", "011", " -")


class Verdict(StrEnum):
    """What a code proves."""

    NOT_ENABLED = "not-enabled"
    ACCEPTED = "accepted"
    MISSING = "missing"
    WRONG = "wrong"
    REUSED = "reused"
    """A code of the app that is valid at this time; it, or a later one, was accepted before."""


@dataclass(frozen=True)
class SecondFactorState:
    """Since when an account has a second factor, None if it has none; and how many recovery codes
    are unused."""

    enabled_at: datetime | None
    recovery_codes_left: int


@dataclass(frozen=True)
class SecondFactors:
    """Reads and writes the tables. Every method may raise TransientError."""

    database: Database
    clock: Callable[[], float] = field(default=time.time)

    def state(self, user_id: str) -> SecondFactorState:
        """The state of a user's second factor."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT f.confirmed_at, count(c.user_id) FROM second_factors f "
                "LEFT JOIN recovery_codes c USING (user_id) "
                "WHERE f.user_id = %s AND f.confirmed_at IS NOT NULL GROUP BY f.user_id",
                [user_id],
            )
            row = cursor.fetchone()
        return SecondFactorState(*row) if row else SecondFactorState(None, 0)

    def enrol(self, user_id: str) -> bytes | None:
        """Stores a new secret, which is used once `confirm` was called; returns it. None when the
        user has a second factor already."""
        secret = secrets.token_bytes(totp.SECRET_BYTES)
        with self.database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO second_factors AS old (user_id, secret) VALUES (%s, %s) "
                "ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret "
                "WHERE old.confirmed_at IS NULL",
                [user_id, secret],
            )
            return secret if cursor.rowcount == 1 else None

    def confirm(self, user_id: str, code: str) -> tuple[str, ...] | None:
        """Switches the second factor on with the first code of its secret; returns the recovery
        codes, which are not stored. None when the code is wrong or nothing is to be confirmed."""
        codes = tuple(_new_recovery_code() for _ in range(RECOVERY_CODES))
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT secret FROM second_factors "
                "WHERE user_id = %s AND confirmed_at IS NULL FOR UPDATE",
                [user_id],
            )
            row = cursor.fetchone()
            step = None if row is None else self._matching_step(bytes(row[0]), code)
            if step is None:
                return None
            cursor.execute(
                "UPDATE second_factors SET confirmed_at = now(), last_step = %s WHERE user_id = %s",
                [step, user_id],
            )
            for recovery in codes:
                cursor.execute(
                    "INSERT INTO recovery_codes (user_id, code_hash) VALUES (%s, %s)",
                    [user_id, _hash(recovery)],
                )
        return codes

    def check(self, user_id: str, code: str | None) -> Verdict:
        """What `code`, of the app or a recovery code, proves. An accepted code is used up, and with
        it every earlier one of the app; their reuse is logged."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT secret FROM second_factors WHERE user_id = %s AND confirmed_at IS NOT NULL",
                [user_id],
            )
            row = cursor.fetchone()
            if row is None:
                return Verdict.NOT_ENABLED
            if code is None:
                return Verdict.MISSING
            step = self._matching_step(bytes(row[0]), code)
            if step is not None:
                # The condition also decides between two requests with one code.
                cursor.execute(
                    "UPDATE second_factors SET last_step = %s "
                    "WHERE user_id = %s AND last_step < %s",
                    [step, user_id, step],
                )
            else:
                cursor.execute(
                    "DELETE FROM recovery_codes WHERE user_id = %s AND code_hash = %s",
                    [user_id, _hash(code)],
                )
            accepted = cursor.rowcount == 1
        if accepted:
            return Verdict.ACCEPTED
        if step is None:
            return Verdict.WRONG
        log.logger().warning("second_factor_code_reused", user_id=user_id)
        return Verdict.REUSED

    def remove(self, user_id: str) -> bool:
        """Deletes the second factor and its recovery codes. Returns whether it was in use."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "DELETE FROM second_factors WHERE user_id = %s RETURNING confirmed_at", [user_id]
            )
            row = cursor.fetchone()
        return row is not None and row[0] is not None

    def _matching_step(self, secret: bytes, code: str) -> int | None:
        return totp.matching_step(secret, _normalized(code), self.clock())


def _new_recovery_code() -> str:
    characters = "".join(secrets.choice(_ALPHABET) for _ in range(RECOVERY_CHARACTERS))
    groups = range(0, RECOVERY_CHARACTERS, _GROUP)
    return "-".join(characters[start : start + _GROUP] for start in groups)


def _normalized(code: str) -> str:
    """Tolerates lower case, spaces, and letters that look like digits."""
    return code.upper().translate(_LOOK_ALIKES)


def _hash(recovery_code: str) -> str:
    return hashlib.sha256(_normalized(recovery_code).encode()).hexdigest()
