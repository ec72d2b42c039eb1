"""Changes a user's role."""

from __future__ import annotations

from services.accounts.model import Role, User
from services.accounts.sessions import SessionStore
from services.accounts.users import Users


def change_role(users: Users, sessions: SessionStore, email: str, role: Role) -> User | None:
    """Sets the role of the user with this address and closes all the user's sessions, because a
    session keeps the role that it was opened with. Safe to repeat.

    Returns the changed user, or None when no user has the address. Cached authorizer responses
    stay valid for the manifest's `cache_seconds`.
    """
    user = users.set_role(email, role)
    if user is not None:
        sessions.close_all(user.id)
    return user
