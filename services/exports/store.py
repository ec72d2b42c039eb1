"""Exports of customers' data, in the table `data_exports`: at most one a user.

An export is requested, then made, and can be downloaded for LIFETIME. A later one replaces it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.platform.database import Database

# The links to photos in the document are valid for as long.
LIFETIME = timedelta(hours=1)
# An export that was not made for so long is requested anew, under another id.
GIVEN_UP_AFTER = timedelta(minutes=30)
_COLUMNS = "id, user_id, requested_at, made_at, bytes"


@dataclass(frozen=True)
class DataExport:
    """An export. `made_at` and `bytes` are None until its document is stored."""

    id: str
    user_id: str
    requested_at: datetime
    made_at: datetime | None
    bytes: int | None

    @property
    def key(self) -> str:
        """The document's key in the bucket; below the user's prefix, which an erasure deletes."""
        return f"{self.user_id}/{self.id}/darkroom-export.json"

    @property
    def expires_at(self) -> datetime | None:
        return None if self.made_at is None else self.made_at + LIFETIME


@dataclass(frozen=True)
class DataExports:
    """Reads and writes the table. Every method may raise TransientError."""

    database: Database

    def request(self, user_id: str) -> DataExport:
        """The user's current export; a new one if there is none, it has expired, or it was not
        made in time."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO data_exports AS old (user_id, id) VALUES (%s, %s) "
                "ON CONFLICT (user_id) DO UPDATE SET id = excluded.id, requested_at = now(), "
                "made_at = NULL, bytes = NULL WHERE old.made_at <= now() - %s "
                "OR old.made_at IS NULL AND old.requested_at <= now() - %s",
                [user_id, uuid.uuid4().hex, LIFETIME, GIVEN_UP_AFTER],
            )
            cursor.execute(
                f"SELECT {_COLUMNS} FROM data_exports WHERE user_id = %s",  # noqa: S608  constants
                [user_id],
            )
            return _export(cursor.fetchone())

    def current(self, user_id: str) -> DataExport | None:
        """The user's export; None if there is none, or it has expired."""
        return self._find("user_id = %s", user_id)

    def find(self, export_id: str) -> DataExport | None:
        """The export with this id; None if it was replaced or has expired."""
        return self._find("id = %s", export_id)

    def finish(self, export_id: str, size: int) -> None:
        """Records that the document, of `size` bytes, is stored. Does nothing to an export that
        was replaced meanwhile."""
        with self.database.transaction() as cursor:
            cursor.execute(
                "UPDATE data_exports SET made_at = now(), bytes = %s "
                "WHERE id = %s AND made_at IS NULL",
                [size, export_id],
            )

    def _find(self, condition: str, value: str) -> DataExport | None:
        with self.database.transaction() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM data_exports WHERE {condition} "  # noqa: S608  constants
                "AND (made_at IS NULL OR made_at > now() - %s)",
                [value, LIFETIME],
            )
            row = cursor.fetchone()
        return _export(row) if row else None


def _export(row: object) -> DataExport:
    if not isinstance(row, tuple):
        raise TypeError(f"expected a row of data_exports, got {row!r}")
    id_, user_id, requested_at, made_at, size = row
    return DataExport(id_, str(user_id), requested_at, made_at, size)
