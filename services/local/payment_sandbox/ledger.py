"""The payment sandbox's storage: payments and undelivered webhooks in one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY,
    key TEXT UNIQUE,
    order_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    status TEXT NOT NULL,
    confirmations INTEGER NOT NULL DEFAULT 0,
    refund_id TEXT
);
CREATE TABLE IF NOT EXISTS webhooks (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    copies INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    made_at REAL NOT NULL,
    due_at REAL NOT NULL
);
"""


@dataclass
class Ledger:
    """The provider's storage: a file that survives the process. Serializes its callers."""

    path: Path
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._sql = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._sql.row_factory = sqlite3.Row
        # A committed response survives a kill of the process.
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.executescript(_SCHEMA)

    def execute(self, statement: str, values: Any = ()) -> list[dict[str, Any]]:
        with self.lock:
            return [dict(row) for row in self._sql.execute(statement, values)]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.lock:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")
