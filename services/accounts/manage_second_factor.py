"""/users/me/second-factor: sets up, shows and removes the second factor of the signed-in user."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import second_factor_api as own
from services.accounts.account_notices import AccountNotices
from services.accounts.model import Role
from services.accounts.password_check import verified_caller
from services.accounts.rate_limit import SignInLimit
from services.accounts.second_factors import SecondFactors, Verdict
from services.accounts.sessions import SessionStore
from services.accounts.totp import encode_secret, otpauth_uri
from services.accounts.users import Users
from services.events.accounts import AccountEventType
from services.platform import log
from services.platform.functions.http import NOT_ALLOWED, HttpProblem, Request, Response


@dataclass(frozen=True)
class ManageSecondFactor:
    """`required_for_administrators`: they cannot remove it."""

    users: Users
    factors: SecondFactors
    sessions: SessionStore
    limit: SignInLimit
    notices: AccountNotices
    required_for_administrators: bool

    def handle(self, request: Request) -> Response:
        """Returns the state."""
        state = self.factors.state(request.caller.user_id)
        return Response(
            200,
            own.SecondFactor(
                enabled=state.enabled_at is not None, recovery_codes_left=state.recovery_codes_left
            ),
        )

    def enrol(self, request: Request) -> Response:
        """Returns a new secret. Raises HttpProblem 403 for a wrong password, 409 if there is a
        second factor, and 429."""
        wanted: own.Enrolment = request.body
        user, attempt = verified_caller(request, wanted.password, self.users, self.limit)
        self.limit.succeeded(attempt)
        secret = self.factors.enrol(user.id)
        if secret is None:
            raise HttpProblem(own.ENABLED_ALREADY, "Remove it first.")
        log.logger().info("second_factor_enrolled", user_id=user.id)
        return Response(
            201,
            own.NewSecondFactor(
                secret=encode_secret(secret), otpauth_uri=otpauth_uri(secret, user.email)
            ),
        )

    def confirm(self, request: Request) -> Response:
        """Switches it on and closes the other sessions. Raises HttpProblem 403 for a wrong code,
        and 429."""
        wanted: own.FirstCode = request.body
        caller = request.caller
        with self.limit.verification(caller.email, request.source_ip) as attempt:
            codes = self.factors.confirm(caller.user_id, wanted.code)
        if codes is None:
            raise _wrong_code()
        self.limit.withdraw(attempt)
        closed = self.sessions.close_all(caller.user_id, keep=caller.session_id)
        log.logger().info("second_factor_enabled", sessions_closed=closed)
        self.notices.send(AccountEventType.SECOND_FACTOR_ENABLED, caller.email)
        return Response(200, own.RecoveryCodes(recovery_codes=[*codes]))

    def remove(self, request: Request) -> Response:
        """Switches it off. Raises HttpProblem 403 for a wrong password or code, and 429."""
        wanted: own.Removal = request.body
        user, attempt = verified_caller(request, wanted.password, self.users, self.limit)
        if self.required_for_administrators and user.role is Role.ADMINISTRATOR:
            self.limit.withdraw(attempt)
            raise HttpProblem(NOT_ALLOWED, "Administrators need a second factor here.")
        if self.factors.check(user.id, wanted.code) is not Verdict.ACCEPTED:
            raise _wrong_code()
        self.limit.succeeded(attempt)
        self.factors.remove(user.id)
        log.logger().info("second_factor_disabled", user_id=user.id)
        self.notices.send(AccountEventType.SECOND_FACTOR_DISABLED, user.email)
        return Response(204)


def _wrong_code() -> HttpProblem:
    return HttpProblem(own.WRONG_CODE, "Send the code that the app shows now; each is valid once.")
