"""Users, roles and the form of e-mail addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.platform.errors import PermanentError

# NIST SP 800-63B, section 5.1.1.2 (https://pages.nist.gov/800-63-3/sp800-63b.html): a minimum
# length and no composition rules. The maximum bounds the cost of hashing.
PASSWORD_CHARACTERS_MIN = 12
PASSWORD_CHARACTERS_MAX = 128


class Role(StrEnum):
    CUSTOMER = "customer"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class User:
    """A user. `id` is a UUID as text and the `owner` of the user's photos. `email` keeps the case
    in which the user wrote it; it is unique without regard to case."""

    id: str
    email: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True)
class UserWithPassword(User):
    """A user with the hash of the password, which only the role `darkroom_accounts` may read."""

    password_hash: str = field(repr=False)


class EmailTakenError(PermanentError):
    """Another account has this e-mail address."""


def normalize_email(email: str) -> str:
    """The form in which addresses are compared: lower case. Addresses are ASCII."""
    return email.lower()


def account_of(email: str) -> str:
    """The subject of an account's address in counters, whether or not it has an account."""
    return f"account {normalize_email(email)}"
