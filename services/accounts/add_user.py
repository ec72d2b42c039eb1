"""Creates an account without a confirmation, for operators."""

from __future__ import annotations

import msgspec

from services.accounts import api, passwords
from services.accounts.model import User
from services.accounts.users import Users
from services.platform.errors import PermanentError
from services.platform.validation import InvalidInputError, convert


class _NewUser(msgspec.Struct, frozen=True):
    email: api.Email
    name: api.Name


def add_user(users: Users, email: str, name: str, password: str) -> User:
    """Creates a customer whose address the operator vouches for.

    Raises EmailTakenError when an account has the address, and PermanentError for an invalid
    address, name or password.
    """
    try:
        convert({"email": email, "name": name}, _NewUser)
    except InvalidInputError as error:
        raise PermanentError(str(error)) from None
    if (expected := passwords.unmet_requirement(password, email)) is not None:
        raise PermanentError(f"password: expected {expected}, got a hidden value")
    return users.create(email, name, passwords.hash_password(password))
