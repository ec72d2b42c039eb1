"""POST /users/me/deletion: asks for the deletion of the signed-in user's account."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import passwords
from services.accounts.api_keys import ApiKeyStore
from services.accounts.deletion_api import DeletionRequest
from services.accounts.password_check import verified_caller
from services.accounts.rate_limit import SignInLimit
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.platform import log
from services.platform.functions.http import Request, Response


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
        user, attempt = verified_caller(request, wanted.password, self.users, self.limit)
        self.limit.succeeded(attempt)
        self.users.request_deletion(user, passwords.DUMMY_HASH)
        closed = self.sessions.close_all(caller.user_id)
        self.keys.revoke_all(caller.user_id)
        log.logger().info("account_deletion_requested", user_id=user.id, sessions_closed=closed)
        return Response(202)
