"""Migrations on a real Postgres."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg2.errors import InsufficientPrivilege

from services.accounts.users import Users
from services.build import context
from services.local import postgres as servers
from services.local.state import PROJECT
from services.platform import manifest
from services.platform.errors import ConfigurationError, TransientError
from services.schema import migrate_database
from services.schema.migrate_database import MigrateDatabase
from tests.integration.database.support import start
from tests.support.postgres import FreshDatabase
from tests.support.waiting import scaled

_MIGRATE = """
import sys
from services.platform import manifest
from services.schema import migrate_database
from services.platform.database import Database, DatabaseConfiguration
import boto3
url, arn, endpoint = sys.argv[1:]
database = Database(
    DatabaseConfiguration(url, arn, None, 5, 10.0, 15.0, "migration", None),
    boto3.client(
        "secretsmanager",
        "us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    ),
)
sys.stdin.readline()
print(" ".join(migrate_database.migrate(database)))
"""


def test_migrate_concurrently_applies_each_revision_once(fresh: FreshDatabase) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _MIGRATE, fresh.url, fresh.secret_arn, fresh.session.endpoint],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    applied = [process.communicate(timeout=scaled(60))[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    status = migrate_database.status(fresh.database())
    assert status.revision == status.head
    assert status.pending == ()
    # One process applied all revisions.
    assert sorted(len(revisions) > 0 for revisions in applied) == [False, False, True]
    assert max(applied)[-1] == status.head


def test_migrate_with_revision_stops_at_it(fresh: FreshDatabase) -> None:
    database = fresh.database()
    before = migrate_database.status(database)
    assert before.revision is None
    assert before.pending[0] == "0001"
    assert migrate_database.migrate(database, "0001") == ["0001"]
    assert migrate_database.status(database).pending == before.pending[1:]
    assert migrate_database.migrate(database) == list(before.pending[1:])
    assert migrate_database.migrate(database) == []
    assert migrate_database.migrate(database, "0001") == []  # there are no downgrades


@contextmanager
def owner(fresh: FreshDatabase) -> Iterator[Any]:
    """A cursor of the database's owner, who sees all columns and rights."""
    with fresh.database().transaction() as cursor:
        yield cursor


def usable(fresh: FreshDatabase) -> set[tuple[str, ...]]:
    """What functions use: the type of each column, and the rights of each role."""
    with owner(fresh) as cursor:
        cursor.execute(
            "SELECT 'column', table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public'"
        )
        found = {(*row,) for row in cursor.fetchall()}
        cursor.execute(
            "SELECT grantee, table_name, column_name, privilege_type "
            "FROM information_schema.column_privileges WHERE grantee LIKE 'darkroom_%'"
        )
        found |= {(*row,) for row in cursor.fetchall()}
        cursor.execute(
            "SELECT grantee, table_name, '', privilege_type "
            "FROM information_schema.table_privileges WHERE grantee LIKE 'darkroom_%' "
            "AND privilege_type = 'DELETE'"
        )
        return found | {(*row,) for row in cursor.fetchall()}


def required(fresh: FreshDatabase) -> set[tuple[str, str]]:
    """The columns that an INSERT has to set."""
    with owner(fresh) as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL "
            "AND is_identity = 'NO'"
        )
        return {(table, column) for table, column in cursor.fetchall()}


def test_revision_takes_nothing_away_unless_it_contracts(fresh: FreshDatabase) -> None:
    """A release applies its revisions while the functions of the release before are live."""
    database = fresh.database()
    contracting: set[str] = set()
    before: set[tuple[str, ...]] = set()
    required_before: set[tuple[str, str]] = set()
    tables: set[str] = set()
    for revision in migrate_database.status(database).pending:
        migrate_database.migrate(database, revision)
        now, required_now = usable(fresh), required(fresh)
        lost = before - now
        demanded = {one for one in required_now - required_before if one[0] in tables}
        if lost or demanded:
            contracting.add(revision)
        before, required_before = now, required_now
        tables = {name for kind, name, *_ in now if kind == "column"}
    stated = {
        path.name[:4]
        for path in (migrate_database.FOLDER / "versions").glob("*.py")
        if "contracts = True" in path.read_text(encoding="utf-8")
    }
    assert contracting == stated, "state `contracts = True`, or add only"


def test_migrate_before_contract_leaves_what_contracts_until_later(fresh: FreshDatabase) -> None:
    database = fresh.database()
    migrate_database.migrate(database, "0008")
    assert migrate_database.migrate(database, migrate_database.BEFORE_CONTRACT) == ["0009"]
    assert migrate_database.migrate(database, migrate_database.BEFORE_CONTRACT) == []
    # The operation of the release before, which reads all columns of a user.
    operators = fresh.database(role="darkroom_operators")
    with operators.transaction() as cursor:
        cursor.execute("SELECT id, email, name, role, created_at, password_hash FROM users")
    assert Users(operators).find("ada@example.com") is None
    assert migrate_database.migrate(database)[0] == "0010"
    with pytest.raises(InsufficientPrivilege), operators.transaction() as cursor:
        cursor.execute("SELECT password_hash FROM users")
    assert Users(operators).find("ada@example.com") is None


def test_migrate_of_an_empty_database_waits_for_nothing(fresh: FreshDatabase) -> None:
    answer = MigrateDatabase(fresh.database()).handle({"to": migrate_database.BEFORE_CONTRACT})
    assert answer["pending"] == []
    assert answer["applied"][-1] == answer["revision"]


def test_migrate_with_unknown_revision_raises_configuration_error(fresh: FreshDatabase) -> None:
    database = fresh.database()
    with pytest.raises(ConfigurationError, match="got 9999"):
        migrate_database.migrate(database, "9999")
    migrate_database.migrate(database)
    with database.transaction() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = '9999'")
    for look in (migrate_database.migrate, migrate_database.status):
        with pytest.raises(ConfigurationError, match="use a newer release"):
            look(database)


def test_migrate_with_failing_revision_rolls_it_back(
    fresh: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "versions").mkdir()
    for revision, before, sql in (
        ("0001", None, "CREATE TABLE one (id int)"),
        ("0002", "0001", "CREATE TABLE two (id int); SELECT 1 / 0"),
    ):
        (tmp_path / "versions" / f"{revision}_test.py").write_text(
            f"from alembic import op\nrevision, down_revision = {revision!r}, {before!r}\n"
            f"def upgrade():\n    op.execute({sql!r})\n"
        )
    monkeypatch.setattr(migrate_database, "FOLDER", tmp_path)
    database = fresh.database()
    with pytest.raises(Exception, match="division by zero"):
        migrate_database.migrate(database)
    assert migrate_database.status(database).revision == "0001"
    with database.transaction() as cursor:
        cursor.execute("SELECT to_regclass('one') IS NULL, to_regclass('two') IS NULL")
        assert cursor.fetchone() == (False, True)
    assert fresh.connections() == 1


def test_migrate_during_another_migration_times_out(
    fresh: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_database, "LOCK_WAIT_SECONDS", 0.3)
    other = fresh.database().connect()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [migrate_database.LOCK])
    with pytest.raises(TransientError, match="another migration"):
        migrate_database.migrate(fresh.database())
    other.close()
    assert migrate_database.migrate(fresh.database())


def test_migrate_without_postgres_raises_transient_error(
    fresh: FreshDatabase, server: list[servers.Postgres]
) -> None:
    servers.stop(server[0])
    for look in (migrate_database.migrate, migrate_database.status):
        with pytest.raises(TransientError):
            look(fresh.database())
    start(server)
    assert migrate_database.migrate(fresh.database())


def test_function_image_contains_every_revision(fresh: FreshDatabase, tmp_path: Path) -> None:
    function = manifest.load(PROJECT / "images" / "migrate-database")
    task = context.stage(PROJECT, function, tmp_path / "context").folder / "task"
    code = "import services.schema.migrate_database as m; print(m.FOLDER)\n" + _MIGRATE
    done = subprocess.run(
        [sys.executable, "-c", code, fresh.url, fresh.secret_arn, fresh.session.endpoint],
        cwd=task,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(task)},
        input="go\n",
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder, applied = done.stdout.splitlines()
    assert folder == str(task / "services" / "schema")
    assert applied.split()[-1] == migrate_database.status(fresh.database()).head


# -- the server itself
