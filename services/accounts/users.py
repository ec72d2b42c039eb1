"""Users, in Postgres."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.accounts.model import (
    EmailTakenError,
    Role,
    User,
    UserWithPassword,
    normalize_email,
)
from services.platform.database import Database

_COLUMNS = "id, email, name, role, created_at"
_WITH_PASSWORD = f"{_COLUMNS}, password_hash"
_BY_EMAIL = 'lower(email COLLATE "C") = %s'


@dataclass(frozen=True)
class Position:
    """A position in the list of users: the last user of the page before."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class AccountHolder:
    """What e-mails about an account need. `is_closed`: its deletion was asked for."""

    user_id: str
    email: str
    name: str
    is_closed: bool


@dataclass(frozen=True)
class Users:
    """Reads and writes the table `users`. Every method may raise TransientError."""

    database: Database

    def create(self, email: str, name: str, password_hash: str) -> User:
        """Creates a customer in a transaction of its own, as `insert`."""
        with self.database.transaction() as cursor:
            return self.insert(cursor, email, name, password_hash)

    @staticmethod
    def insert(cursor: Any, email: str, name: str, password_hash: str) -> User:
        """Creates a customer. Raises EmailTakenError when an account has the address, without
        regard to case."""
        # A unique violation would write the statement, with its values, into Postgres' log.
        cursor.execute(
            "INSERT INTO users (id, email, name, role, password_hash) "  # noqa: S608  constants
            "VALUES (%s, %s, %s, %s, %s) "
            f'ON CONFLICT (lower(email COLLATE "C")) DO NOTHING RETURNING {_COLUMNS}',
            [str(uuid.uuid4()), email, name, Role.CUSTOMER.value, password_hash],
        )
        row = cursor.fetchone()
        if row is None:
            raise EmailTakenError("another account has this e-mail address")
        return _user(row)

    def find(self, email: str) -> User | None:
        """The user with this address, without regard to case; None if there is none."""
        row = self._find(_COLUMNS, email)
        return _user(row) if row else None

    def find_with_password(self, email: str) -> UserWithPassword | None:
        """As `find`, with the hash of the password."""
        row = self._find(_WITH_PASSWORD, email)
        return _with_password(row) if row else None

    def holder(self, email: str) -> AccountHolder | None:
        """Whose account has this address, without regard to case; None if there is none."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "SELECT id, email, name, deletion_requested_at IS NOT NULL "  # noqa: S608  constants
                f"FROM users WHERE {_BY_EMAIL}",
                [normalize_email(email)],
            )
            row = cursor.fetchone()
        return AccountHolder(str(row[0]), *row[1:]) if row else None

    def name_of(self, user_id: str) -> str | None:
        """The name of the user with this id; None if there is none."""
        with self.database.transaction() as cursor:
            cursor.execute("SELECT name FROM users WHERE id = %s", [user_id])
            row = cursor.fetchone()
        return str(row[0]) if row else None

    def newest(self, limit: int, after: Position | None = None) -> list[User]:
        """At most `limit` users, newest first, starting after the position `after`.

        A client that reads all pages gets each user that existed at the first page exactly once,
        even when other users are created meanwhile.
        """
        where, values = "", []
        if after is not None:
            where, values = "WHERE (created_at, id) < (%s, %s)", [after.created_at, after.id]
        with self.database.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM users {where} "  # noqa: S608  constants
                "ORDER BY created_at DESC, id DESC LIMIT %s",
                [*values, limit],
            )
            return [*map(_user, cursor.fetchall())]

    def set_role(self, email: str, role: Role) -> User | None:
        """Sets a user's role; returns the changed user, or None when no user has the address.

        Open sessions keep their role: call `services.accounts.roles.change_role` instead, which
        closes them.
        """
        with self.database.transaction() as cursor:
            cursor.execute(
                f"UPDATE users SET role = %s WHERE {_BY_EMAIL} RETURNING {_COLUMNS}",  # noqa: S608
                [role.value, normalize_email(email)],
            )
            row = cursor.fetchone()
        return _user(row) if row else None

    def replace_hash(self, user: UserWithPassword, password_hash: str) -> bool:
        """Replaces the password hash of `user`. Returns False if it changed since `user` was read;
        it then stays as it is."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE users SET password_hash = %s WHERE id = %s AND password_hash = %s",
                [password_hash, user.id, user.password_hash],
            )
            return cursor.rowcount == 1

    @staticmethod
    def reset_hash(cursor: Any, email: str, password_hash: str) -> str | None:
        """Sets the password hash of the user with this address; returns the user's id, or None when
        no user has the address, or the account is closed."""
        cursor.execute(
            f"UPDATE users SET password_hash = %s WHERE {_BY_EMAIL} "  # noqa: S608  constants
            "AND deletion_requested_at IS NULL RETURNING id",
            [password_hash, normalize_email(email)],
        )
        row = cursor.fetchone()
        return str(row[0]) if row else None

    def request_deletion(self, user: User, password_hash: str) -> None:
        """Marks the user for erase-accounts. `password_hash` is one that no password matches, so
        no sign-in succeeds."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE users SET deletion_requested_at = coalesce(deletion_requested_at, now()), "
                "password_hash = %s WHERE id = %s",
                [password_hash, user.id],
            )

    def _find(self, columns: str, email: str) -> Any:
        with self.database.transaction() as cursor:
            cursor.execute(
                f"SELECT {columns} FROM users WHERE {_BY_EMAIL}",  # noqa: S608  constants
                [normalize_email(email)],
            )
            return cursor.fetchone()


def _user(row: Any) -> User:
    id_, email, name, role, created_at = row
    return User(str(id_), email, name, Role(role), created_at)


def _with_password(row: Any) -> UserWithPassword:
    id_, email, name, role, created_at, password_hash = row
    return UserWithPassword(str(id_), email, name, Role(role), created_at, password_hash)
