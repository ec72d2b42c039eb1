"""Verifies the password of a signed-in user again, before a change that it protects."""

from __future__ import annotations

from services.accounts import api, passwords
from services.accounts.model import User
from services.accounts.rate_limit import Attempt, SignInLimit
from services.accounts.users import Users
from services.platform.functions.http import HttpProblem, Request


def verified_caller(
    request: Request, password: str, users: Users, limit: SignInLimit
) -> tuple[User, Attempt]:
    """The caller of `request`, and the counted attempt, which the caller of this function reports
    as succeeded or withdraws. Raises HttpProblem 403 for a wrong password, and 429: wrong passwords
    count as failed sign-ins."""
    caller = request.caller
    with limit.verification(caller.email, request.source_ip) as attempt:
        user = users.find_with_password(caller.email)
        correct = user is not None and passwords.matches(password, user.password_hash)
    if user is None or not correct:
        raise HttpProblem(api.WRONG_PASSWORD, "Send the current password of your account.")
    return user, attempt
