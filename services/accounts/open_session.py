"""POST /sessions: signs a user in."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts import api, passwords
from services.accounts.account_notices import AccountNotices
from services.accounts.devices import DEVICE_SECONDS, KnownDevices
from services.accounts.model import User, UserWithPassword
from services.accounts.rate_limit import Attempt, SignInLimit
from services.accounts.second_factors import SecondFactors, Verdict
from services.accounts.sessions import LONGEST_SECONDS, SessionStore
from services.accounts.users import Users
from services.events.accounts import AccountEventType
from services.platform import log
from services.platform.functions.http import HttpProblem, Request, Response
from services.platform.timestamps import format_epoch
from services.platform.token_cookies import DEVICE, SESSION

NEW_ACCOUNT_SECONDS = 3600


@dataclass(frozen=True)
class OpenSession:
    """Verifies e-mail address, password and second factor, and opens a session. Sends a notice of
    a sign-in from a device and a network that are not known to the account, and of a code of the
    second factor that was sent again."""

    users: Users
    sessions: SessionStore
    devices: KnownDevices
    limit: SignInLimit
    factors: SecondFactors
    notices: AccountNotices

    def handle(self, request: Request) -> Response:
        """Opens a session. Raises HttpProblem 401 and 429.

        An address without an account and a wrong password get the same response, after the same
        work.
        """
        credentials: api.Credentials = request.body
        device_token = request.headers.get(DEVICE.header, "")
        device = self.devices.find(device_token, credentials.email)
        with self.limit.verification(credentials.email, request.source_ip, device) as attempt:
            user = self._verify(credentials)
            verdict = self.factors.check(user.id, credentials.code) if user else None
        if user is None:
            raise HttpProblem(
                api.WRONG_CREDENTIALS,
                "Send the e-mail address and the password of an account.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if verdict is Verdict.MISSING:
            self.limit.withdraw(attempt)
            raise HttpProblem(
                api.SECOND_FACTOR_REQUIRED,
                "Send `code` too: that of the authenticator app, or a recovery code.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if verdict is Verdict.REUSED and self.limit.announces_reuse(user.email):
            self.notices.send(AccountEventType.SECOND_FACTOR_CODE_REUSED, user.email)
        if verdict in (Verdict.WRONG, Verdict.REUSED):
            raise HttpProblem(
                api.WRONG_SECOND_FACTOR_CODE,
                "Send the code that the app shows now; each is accepted once.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        self.limit.succeeded(attempt)
        remembered = self._remember(user, device, device_token)
        token, session = self.sessions.open(user, second_factor=verdict is Verdict.ACCEPTED)
        log.logger().info("session_opened", user_id=user.id)
        self._announce(user, attempt)
        cookies = [SESSION.set(token, LONGEST_SECONDS)]
        if remembered is not None:
            cookies.append(DEVICE.set(remembered, DEVICE_SECONDS))
        return Response(
            201,
            api.OpenedSession(
                token=None if credentials.cookie else token,
                device_token=None if credentials.cookie else remembered,
                expires_at=format_epoch(session.expires_at),
                user=api.account(user),
            ),
            cookies=tuple(cookies) if credentials.cookie else (),
        )

    def _remember(self, user: User, device: str | None, token: str) -> str | None:
        """The token of the device from now on: `token` if it is that of the known device `device`,
        or else a new one; None when the account's new devices of the day are used up."""
        if device is not None and self.devices.renew(device):
            return token
        return self.devices.add(user) if self.limit.remembers(user.email) else None

    def _announce(self, user: User, attempt: Attempt) -> None:
        """Sends the owner a notice of a sign-in from a new device in a new network. A new account
        gets none: its owner has just confirmed the address and signs in for the first time."""
        age_seconds = self.sessions.clock() - user.created_at.timestamp()
        if age_seconds >= NEW_ACCOUNT_SECONDS and self.limit.announces(user.email, attempt):
            self.notices.send(AccountEventType.SIGNED_IN_FROM_NEW_NETWORK, user.email)

    def _verify(self, credentials: api.Credentials) -> UserWithPassword | None:
        """The user with these credentials; updates an outdated password hash."""
        user = self.users.find_with_password(credentials.email)
        password_hash = user.password_hash if user else passwords.DUMMY_HASH
        if not passwords.matches(credentials.password, password_hash) or user is None:
            return None
        if passwords.needs_rehash(password_hash):
            self.users.replace_hash(user, passwords.hash_password(credentials.password))
            log.logger().info("password_rehashed", user_id=user.id)
        return user
