"""PUT /users/me/password: changes the password of the signed-in user."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api, passwords
from services.accounts.account_notices import AccountNotices
from services.accounts.rate_limit import SignInLimit
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.events.accounts import AccountEventType
from services.platform import log
from services.platform.functions.http import INVALID_REQUEST, HttpProblem, Request, Response
from services.platform.validation import FieldError


@dataclass(frozen=True)
class ChangePassword:
    """Replaces the password, and closes the user's other sessions."""

    users: Users
    sessions: SessionStore
    limit: SignInLimit
    notices: AccountNotices

    def handle(self, request: Request) -> Response:
        """Changes the password. Safe to repeat. Raises HttpProblem 400 for a weak new password, 403
        for a wrong current one, and 429: wrong passwords count as failed sign-ins."""
        change: api.PasswordChange = request.body
        caller = request.caller
        if (expected := passwords.unmet_requirement(change.new_password, caller.email)) is not None:
            raise HttpProblem(
                INVALID_REQUEST,
                "The request has invalid fields; see `errors`.",
                [FieldError("new_password", expected, "a hidden value")],
            )
        with self.limit.verification(caller.email, request.source_ip) as attempt:
            changed = self._change(caller.email, change)
        if not changed:
            raise HttpProblem(api.WRONG_PASSWORD, "Send the current password of your account.")
        self.limit.succeeded(attempt)
        closed = self.sessions.close_all(caller.user_id, keep=caller.session_id)
        log.logger().info("password_changed", sessions_closed=closed)
        self.notices.send(AccountEventType.PASSWORD_CHANGED, caller.email)
        return Response(204)

    def _change(self, email: str, change: api.PasswordChange) -> bool:
        """Replaces the password's hash. Returns False when the current password is wrong."""
        user = self.users.find_with_password(email)
        if user is None:
            return False
        if passwords.matches(change.current_password, user.password_hash):
            return self.users.replace_hash(user, passwords.hash_password(change.new_password))
        # A repetition of a request that changed the password but did not close every session.
        return passwords.matches(change.new_password, user.password_hash)
