"""Opens accounts and signs users in: the routes that know passwords."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api, passwords
from services.accounts.model import EmailTakenError
from services.accounts.rate_limit import Attempts, TooManyAttemptsError
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.platform import log
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.validation import FieldError


@dataclass(frozen=True)
class Registration:
    """Makes accounts."""

    users: Users

    def create(self, request: Request) -> Response:
        """Answers POST /users."""
        new: api.NewAccount = request.body
        if (expected := passwords.objection(new.password, new.email)) is not None:
            raise HttpProblem(
                INVALID_REQUEST,
                "The request has mistakes; `errors` names each.",
                [FieldError("password", expected, "a hidden value")],
            )
        try:
            user = self.users.create(new.email, new.name, passwords.hashed(new.password))
        except EmailTakenError:
            raise HttpProblem(
                api.EMAIL_TAKEN, "Expected an address without an account; sign in instead."
            ) from None
        log.logger().info("user-created", user_id=user.id)
        return Response(201, api.account(user), {"Location": f"/users/{user.id}"})


@dataclass(frozen=True)
class SignIn:
    """Opens sessions for those who know an account's password."""

    users: Users
    sessions: SessionStore
    attempts: Attempts

    def open(self, request: Request) -> Response:
        """Answers POST /sessions: in the same way, after the same work, for an address without an
        account and for a wrong password."""
        given: api.Credentials = request.body
        logger = log.logger()
        try:
            self.attempts.count(given.email, request.source_ip)
        except TooManyAttemptsError as error:
            raise HttpProblem(
                api.TOO_MANY_ATTEMPTS,
                f"Try again in {error.retry_after_seconds} seconds.",
                headers={"Retry-After": str(error.retry_after_seconds)},
            ) from None
        user = self.users.find(given.email)
        kept = user.password_hash if user else passwords.NOBODYS_HASH
        right = passwords.matches(given.password, kept)
        if user is None or not right:
            raise HttpProblem(
                api.WRONG_CREDENTIALS,
                "Expected the address and the password of an account.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if passwords.is_outdated(kept):
            self.users.replace_hash(user, passwords.hashed(given.password))
            logger.info("password-rehashed", user_id=user.id)
        token, session = self.sessions.open(user)
        self.attempts.forget(given.email)
        logger.info("session-opened", user_id=user.id)
        return Response(
            201,
            api.OpenedSession(
                token=token,
                expires_at=api.timestamp(session.expires_at),
                user=api.account(user),
            ),
        )
