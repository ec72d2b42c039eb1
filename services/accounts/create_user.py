"""POST /users: creates an account."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api, passwords
from services.accounts.model import EmailTakenError
from services.accounts.users import Users
from services.platform import log
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.validation import FieldError


@dataclass(frozen=True)
class CreateUser:
    """Creates customers."""

    users: Users

    def handle(self, request: Request) -> Response:
        """Creates the account. Raises HttpProblem 400 for a weak password, 409 for a taken
        address."""
        new: api.NewAccount = request.body
        if (expected := passwords.unmet_requirement(new.password, new.email)) is not None:
            raise HttpProblem(
                INVALID_REQUEST,
                "The request has invalid fields; see `errors`.",
                [FieldError("password", expected, "a hidden value")],
            )
        try:
            user = self.users.create(new.email, new.name, passwords.hash_password(new.password))
        except EmailTakenError:
            raise HttpProblem(
                api.EMAIL_TAKEN, "Use an address that has no account, or sign in."
            ) from None
        log.logger().info("user_created", user_id=user.id)
        return Response(201, api.account(user), {"Location": f"/users/{user.id}"})
