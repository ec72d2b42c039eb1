"""What an account is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.platform.errors import PermanentError

# NIST SP 800-63B, section 5.1.1.2 (https://pages.nist.gov/800-63-3/sp800-63b.html): long enough, no
# rules of composition. The upper bound is there so that nobody sends a book to be hashed.
PASSWORD_CHARACTERS_MIN = 12
PASSWORD_CHARACTERS_MAX = 128


class Role(StrEnum):
    CUSTOMER = "customer"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class User:
    """`id` is a UUID as text, the `owner` of the user's photos; `email` is as the user wrote it,
    and nobody else has it in any other case."""

    id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    password_hash: str = field(repr=False)


class EmailTakenError(PermanentError):
    """Another account has this e-mail address."""


def same_address(email: str) -> str:
    """One form for all ways to write an address in upper and lower case. Addresses are ASCII."""
    return email.lower()
