"""Migrates the schema of Postgres: applies the revisions in `versions/`, in order.

A revision is a file `versions/NNNN_name.py` with `revision`, `down_revision` and `upgrade()`, in
plain SQL through `op.execute`. Each runs in a transaction of its own. There are no downgrades: a
later revision corrects a mistake. `versions/` and `environment/` are not Python packages: Alembic
loads their files by path, and every image that imports this module contains them.

Old and new functions run side by side during a deployment, so a revision must suit the functions
before it: it only adds. One that takes something away (a column, a right) states
`contracts = True`; it is applied once the functions that need it no more are live. Such a revision
is the last of its release, because those after it wait with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.platform import log
from services.platform.database import Database, as_transient
from services.platform.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationInfo
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Connection

FOLDER = Path(__file__).parent
# The folder of Alembic's env.py.
ENVIRONMENT = FOLDER / "environment"
HEAD = "head"
# In place of a revision: the newest one before the first that contracts and is not applied yet.
BEFORE_CONTRACT = "before-contract"
# The key of the migrations' advisory lock in Postgres: "darkroom" as a number.
LOCK = int.from_bytes(b"darkroom")
LOCK_WAIT_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.2
# A change of a table waits for its readers, and blocks every later query while it waits.
TABLE_LOCK_SECONDS = 10


@dataclass(frozen=True)
class Status:
    """A schema's revision (None: empty), the newest revision, and those still to apply."""

    revision: str | None
    head: str
    pending: tuple[str, ...]


@dataclass(frozen=True)
class MigrateDatabase:
    """The function migrate-database: a release invokes it before it deploys new functions."""

    database: Database

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Applies the missing revisions up to `event["to"]`, by default all of them.

        Returns `{"applied": ["0001", ...], "revision": "0003", "pending": ["0004"]}`. Raises as
        `migrate` does.
        """
        applied = migrate(self.database, str(event.get("to") or HEAD))
        found = status(self.database)
        log.logger().info("database_migrated", applied=applied, revision=found.revision)
        return {"applied": applied, "revision": found.revision, "pending": [*found.pending]}


def migrate(database: Database, to: str = HEAD) -> list[str]:
    """Applies the missing revisions up to `to`, a revision, HEAD or BEFORE_CONTRACT; returns the
    applied ones, in order.

    Safe to repeat and to run concurrently: a second migration waits for the first. Raises
    TransientError when Postgres is unavailable or locked for too long (applied revisions stay
    applied), ConfigurationError when `to` or the database's revision is unknown.
    """
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    config = _config()
    scripts = _scripts(config)
    applied: list[str] = []

    def note(*, step: MigrationInfo, **_: Any) -> None:
        applied.append(str(step.up_revision_id))

    with _connected(database) as connection, _lock(connection):
        current = MigrationContext.configure(connection).get_current_heads()
        _check_known(scripts, current)
        if to == BEFORE_CONTRACT:
            to = _before_contract(scripts, current)
        _check_known(scripts, (to,))
        connection.rollback()
        config.attributes |= {"connection": connection, "on_version_apply": note}
        command.upgrade(config, to)
    return applied


def status(database: Database) -> Status:
    """The status of a database. Raises as `migrate` does."""
    from alembic.runtime.migration import MigrationContext

    scripts = _scripts(_config())
    with _connected(database) as connection:
        current = MigrationContext.configure(connection).get_current_heads()
    _check_known(scripts, current)
    pending = [step.revision for step in scripts.iterate_revisions(HEAD, current or "base")]
    head = scripts.get_current_head()
    return Status(current[0] if current else None, str(head), tuple(reversed(pending)))


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT))
    config.set_main_option("version_locations", str(FOLDER / "versions"))
    config.set_main_option("path_separator", "newline")
    return config


def _scripts(config: Config) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config)


def _before_contract(scripts: ScriptDirectory, current: tuple[str, ...]) -> str:
    """What BEFORE_CONTRACT stands for at the revision `current`. HEAD for an empty database: no
    function uses it yet."""
    missing = [*scripts.iterate_revisions(HEAD, current)] if current else []
    for script in reversed(missing):
        if getattr(script.module, "contracts", False):
            return str(script.down_revision)
    return HEAD


def _check_known(scripts: ScriptDirectory, revisions: tuple[str, ...]) -> None:
    """Raises ConfigurationError for a revision that this release does not have."""
    from alembic.util import CommandError

    for revision in revisions:
        try:
            script = scripts.get_revision(revision)
        except CommandError:
            script = None
        if script is None:
            known = ", ".join(reversed([s.revision for s in scripts.walk_revisions()]))
            raise ConfigurationError(
                "migrations",
                [f"unknown revision: got {revision}, expected one of {known}; use a newer release"],
            )


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    """A SQLAlchemy connection. Turns errors of an unavailable Postgres into TransientError."""
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
    """Holds the advisory lock of migrations; it ends with the connection."""
    from sqlalchemy import text

    give_up_at = time.monotonic() + LOCK_WAIT_SECONDS
    # Polls: a statement that waits for the lock holds a snapshot, for which a CREATE INDEX
    # CONCURRENTLY of the other migration would wait.
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
