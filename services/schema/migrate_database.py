"""Brings the schema of the lab's Postgres up to date: the revisions in `versions/`, in order.

A revision is a file `versions/NNNN_what.py` with `revision`, `down_revision` and `upgrade()`, in
plain SQL through `op.execute`. Each runs in a transaction of its own, and there is no way back: a
mistake is mended by the next revision. `versions/` is no Python package: Alembic loads its files by
their paths, and every image that imports this module holds them all.

Old and new functions run side by side during a deployment, so a revision must leave the schema
usable for the functions before it: columns are added first and dropped a release later.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.platform.database import Database, as_transient
from services.platform.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Connection

FOLDER = Path(__file__).parent
HEAD = "head"
# Of Postgres's advisory locks, ours: "darkroom" as a number.
LOCK = int.from_bytes(b"darkroom")
LOCK_WAIT_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.2
# A change of a table waits for its readers, and everybody else waits behind it: not for long.
TABLE_LOCK_SECONDS = 10


@dataclass(frozen=True)
class Status:
    """Where a database's schema is (None: empty), where it could be, and what lies between."""

    revision: str | None
    head: str
    pending: tuple[str, ...]


def migrate(database: Database, to: str = HEAD) -> list[str]:
    """Applies what is missing up to revision `to`; the revisions that were applied, in order.

    Safe to repeat and safe to run twice at once: the second waits for the first. Raises
    TransientError when Postgres is away or locked for too long (what was applied stays applied),
    ConfigurationError when there is no such revision, or when the database is at one that this
    code does not have.
    """
    scripts = _scripts()
    applied: list[str] = []

    def steps(current: tuple[str, ...], _context: MigrationContext) -> Any:
        _known(scripts, current)
        return scripts._upgrade_revs(_known(scripts, (to,))[0], current)  # type: ignore[arg-type]

    def note(*, step: Any, **_: Any) -> None:
        applied.append(step.up_revision_id)

    with _connected(database) as connection, _lock(connection):
        from alembic.operations import Operations

        context = _context(
            connection,
            {
                "fn": steps,
                "script": scripts,
                "transaction_per_migration": True,
                "on_version_apply": (note,),
            },
        )
        with Operations.context(context):
            context.run_migrations()
    return applied


def status(database: Database) -> Status:
    """Where the database is. Raises as `migrate` does."""
    scripts = _scripts()
    with _connected(database) as connection:
        current = _context(connection, {}).get_current_heads()
    _known(scripts, current)
    pending = [step.revision for step in scripts.iterate_revisions(HEAD, current or "base")]
    head = scripts.get_current_head()
    return Status(current[0] if current else None, str(head), tuple(reversed(pending)))


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(FOLDER))


def _known(scripts: ScriptDirectory, revisions: tuple[str, ...]) -> tuple[str, ...]:
    """`revisions`, each in full. Raises ConfigurationError for one that there is no file of."""
    from alembic.util import CommandError

    found = []
    for revision in revisions:
        try:
            script = scripts.get_revision(revision)
        except CommandError:
            script = None
        if script is None:
            known = ", ".join(reversed([s.revision for s in scripts.walk_revisions()]))
            raise ConfigurationError(
                "migrations",
                [f"expected a revision of {known}, got {revision}; is this release the newest?"],
            )
        found.append(script.revision)
    return tuple(found)


def _context(connection: Connection, options: dict[str, Any]) -> MigrationContext:
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection, opts=options)


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    """A connection as Alembic wants it. Outages come out as TransientErrors."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    def connect() -> Any:
        made = database.connect()
        made.autocommit = False
        return made

    engine = create_engine("postgresql+psycopg2://", creator=connect, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if error.orig is not None and (outage := as_transient(error.orig)) is not None:
            raise outage from error
        raise


@contextmanager
def _lock(connection: Connection) -> Iterator[None]:
    """Keeps other migrations out; the lock goes with the connection, however that ends."""
    from sqlalchemy import text

    give_up_at = time.monotonic() + LOCK_WAIT_SECONDS
    # Asked for again and again: to wait inside a statement would hold a snapshot meanwhile, which
    # the other's CREATE INDEX CONCURRENTLY would wait for.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
        connection.commit()
        if time.monotonic() > give_up_at:
            raise TransientError(
                f"another migration has been running for more than {LOCK_WAIT_SECONDS:g} s"
            )
        time.sleep(LOCK_POLL_SECONDS)
    connection.execute(text(f"SET lock_timeout = '{TABLE_LOCK_SECONDS}s'"))
    connection.commit()
    yield
