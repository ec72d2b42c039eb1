"""Users, in Postgres."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.accounts.model import EmailTakenError, Role, User, same_address
from services.platform.database import Database

_COLUMNS = "id, email, name, role, created_at, password_hash"
_BY_EMAIL = 'lower(email COLLATE "C") = %s'


@dataclass(frozen=True)
class Position:
    """A place in the list of users: the one that was there last."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class Page:
    """Some users, the newest first. `last` is where the next page begins; None: no more."""

    users: tuple[User, ...]
    last: Position | None


@dataclass(frozen=True)
class Users:
    """Reads and writes the table `users`. Every method may raise TransientError."""

    database: Database

    def create(self, email: str, name: str, password_hash: str) -> User:
        """A new customer. Raises EmailTakenError when the address has an account, in whatever
        case it is written."""
        import psycopg2.errors

        try:
            with self.database.transaction() as cursor:
                cursor.execute(
                    "INSERT INTO users (id, email, name, role, password_hash) "  # noqa: S608
                    f"VALUES (%s, %s, %s, %s, %s) RETURNING {_COLUMNS}",
                    [str(uuid.uuid4()), email, name, Role.CUSTOMER.value, password_hash],
                )
                return _user(cursor.fetchone())
        except psycopg2.errors.UniqueViolation:
            raise EmailTakenError("another account has this e-mail address") from None

    def find(self, email: str) -> User | None:
        """The user with this address, in whatever case it is written."""
        with self.database.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM users WHERE {_BY_EMAIL}",  # noqa: S608  constants
                [same_address(email)],
            )
            row = cursor.fetchone()
        return _user(row) if row else None

    def page(self, limit: int, after: Position | None = None) -> Page:
        """At most `limit` users, the newest first, those that come after `after`.

        Going through all pages shows each user of the first moment once, whoever joins meanwhile.
        """
        where, values = "", []
        if after is not None:
            where, values = "WHERE (created_at, id) < (%s, %s)", [after.created_at, after.id]
        with self.database.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM users {where} "  # noqa: S608  constants
                "ORDER BY created_at DESC, id DESC LIMIT %s",
                [*values, limit + 1],
            )
            found = tuple(map(_user, cursor.fetchall()))
        users = found[:limit]
        more = len(found) > limit
        return Page(users, Position(users[-1].created_at, users[-1].id) if more else None)

    def set_role(self, email: str, role: Role) -> User | None:
        """The user with its new role; None when there is none with this address.

        Open sessions keep the role they were opened with: close them, as
        `services.accounts.roles` does.
        """
        with self.database.transaction() as cursor:
            cursor.execute(
                f"UPDATE users SET role = %s WHERE {_BY_EMAIL} RETURNING {_COLUMNS}",  # noqa: S608
                [role.value, same_address(email)],
            )
            row = cursor.fetchone()
        return _user(row) if row else None

    def replace_hash(self, user: User, password_hash: str) -> None:
        """Keeps the same password in another way, unless it was changed meanwhile."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE users SET password_hash = %s WHERE id = %s AND password_hash = %s",
                [password_hash, user.id, user.password_hash],
            )


def _user(row: Any) -> User:
    id_, email, name, role, created_at, password_hash = row
    return User(str(id_), email, name, Role(role), created_at, password_hash)
