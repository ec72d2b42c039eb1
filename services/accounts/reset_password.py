"""POST /password-resets/completion: sets a new password with the code of an e-mail."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import passwords
from services.accounts.account_notices import AccountNotices
from services.accounts.address_codes import AddressCodes, FoundCode, Purpose
from services.accounts.email_limits import EmailLimit
from services.accounts.reset_api import PasswordReset
from services.accounts.sessions import SessionStore
from services.accounts.sign_up_api import invalid_field, wrong_code
from services.accounts.users import Users
from services.events.accounts import AccountEventType
from services.platform import log
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ResetPassword:
    """Replaces the password, and closes all sessions of the user. The password is hashed last,
    after every cheaper check."""

    users: Users
    sessions: SessionStore
    limit: EmailLimit
    notices: AccountNotices

    def handle(self, request: Request) -> Response:
        """Sets the password. Raises HttpProblem 400 for a weak password, 403 for a wrong code, and
        429."""
        reset: PasswordReset = request.body
        proof = reset.proof
        self._check_password(reset, reset.email or "")
        with self.limit.guess(Purpose.PASSWORD_RESET, proof, request.source_ip):
            found = AddressCodes(self.users.database).find(Purpose.PASSWORD_RESET, proof)
        if found is None:
            raise wrong_code()
        self._check_password(reset, found.email)
        user_id, closed = self._reset(found, passwords.hash_password(reset.password))
        log.logger().info("password_reset", user_id=user_id, sessions_closed=closed)
        self.notices.send(AccountEventType.PASSWORD_CHANGED, found.email)
        return Response(204)

    def _reset(self, found: FoundCode, password_hash: str) -> tuple[str, int]:
        """Returns the user's id and the number of closed sessions. When the sessions cannot be
        closed, nothing changes, and the code stays valid."""
        with self.users.database.transaction() as cursor:
            if not AddressCodes.use(cursor, found):
                raise wrong_code()
            user_id = Users.reset_hash(cursor, found.email, password_hash)
            if user_id is None:
                raise wrong_code()
            return user_id, self.sessions.close_all(user_id)

    @staticmethod
    def _check_password(reset: PasswordReset, email: str) -> None:
        if (expected := passwords.unmet_requirement(reset.password, email)) is not None:
            raise invalid_field("password", expected)
