"""POST /users/me/deletion: asks for the deletion of the signed-in user's account."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api, passwords
from services.accounts.api_keys import ApiKeyStore
from services.accounts.deletion_api import DeletionRequest
from services.accounts.rate_limit import SignInLimit
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response


@dataclass(frozen=True)
class DeleteUser:
    """Ends the access to an account; erase-accounts deletes its data."""

    users: Users
    sessions: SessionStore
    keys: ApiKeyStore
    limit: SignInLimit

    def handle(self, request: Request) -> Response:
        """Marks the account, closes its sessions, revokes its keys. Raises HttpProblem 403 for a
        wrong password and 429: wrong passwords count as failed sign-ins."""
        wanted: DeletionRequest = request.body
        caller = request.caller
        with self.limit.verification(caller.email, request.source_ip) as attempt:
            user = self.users.find(caller.email)
            correct = user is not None and passwords.matches(wanted.password, user.password_hash)
        if user is None or not correct:
            raise HttpProblem(api.WRONG_PASSWORD, "Send the current password of your account.")
        self.limit.succeeded(attempt)
        self.users.request_deletion(user, passwords.DUMMY_HASH)
        closed = self.sessions.close_all(caller.user_id)
        self.keys.revoke_all(caller.user_id)
        log.logger().info("account_deletion_requested", user_id=user.id, sessions_closed=closed)
        return Response(202)
