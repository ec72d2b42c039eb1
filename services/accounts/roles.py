"""Gives a user another role."""

from __future__ import annotations

from services.accounts.model import Role, User
from services.accounts.sessions import SessionStore
from services.accounts.users import Users


def change_role(users: Users, sessions: SessionStore, email: str, role: Role) -> User | None:
    """The user with the new role, signed out everywhere: a session keeps the role that it was
    opened with. None when no user has this address. Safe to repeat.

    What the gateway keeps of the authorizer's answers goes on for its `cache_seconds`.
    """
    user = users.set_role(email, role)
    if user is not None:
        sessions.close_all(user.id)
    return user
