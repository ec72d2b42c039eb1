"""Resets a second factor for an owner who has lost the phone and the recovery codes."""

from __future__ import annotations

from dataclasses import dataclass

from services.accounts.account_notices import AccountNotices
from services.accounts.model import User
from services.accounts.second_factors import SecondFactors
from services.accounts.sessions import SessionStore
from services.accounts.users import Users
from services.events.accounts import AccountEventType


@dataclass(frozen=True)
class SecondFactorReset:
    """Removes second factors on behalf of an operator. Safe to repeat."""

    users: Users
    factors: SecondFactors
    sessions: SessionStore
    notices: AccountNotices

    def reset(self, email: str) -> tuple[User, bool] | None:
        """Closes all sessions of the user with this address, removes the second factor, and sends
        its owner a notice if there was one. API keys stay.

        Returns the user and whether there was a second factor; None when no user has the address.
        May raise TransientError.
        """
        user = self.users.find(email)
        if user is None:
            return None
        removed = self.factors.remove(user.id)
        # After the removal: a session that is opened before it would stay otherwise.
        self.sessions.close_all(user.id)
        if removed:
            self.notices.send(AccountEventType.SECOND_FACTOR_RESET, user.email)
        return user, removed
