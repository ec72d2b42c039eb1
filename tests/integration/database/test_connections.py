"""Postgres as the functions have it: on a real server that restarts, fails over and gives up."""

# ruff: noqa: PT012  what is tested is what becomes of a transaction's whole body

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from services.build import context
from services.local import postgres as servers
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator, free_port
from services.local.state import PROJECT
from services.platform import manifest
from services.platform.database import Database
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from services.schema import migrate_database
from tests.support.postgres import FreshDatabase, fresh_database, superuser
from tests.support.waiting import eventually, scaled


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[servers.Postgres]]:
    """A server of these tests' own, for they stop it; the one that runs now is in the list."""
    running = [servers.start(tmp_path_factory.mktemp("server"), free_port())]
    yield running
    servers.stop(running[0])


@pytest.fixture
def fresh(server: list[servers.Postgres], cloud: Emulator) -> FreshDatabase:
    if server[0].process.poll() is not None:
        start(server)
    return fresh_database(server[0], LocalSession(cloud.endpoint))


@pytest.fixture
def database(fresh: FreshDatabase) -> Iterator[Database]:
    made = fresh.database()
    with made.transaction() as cursor:
        cursor.execute("CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)")
        cursor.execute("INSERT INTO counters VALUES (1, 0), (2, 0)")
    yield made
    made.close()


def start(server: list[servers.Postgres]) -> None:
    server[0] = servers.start(server[0].folder, server[0].port)


def pid(database: Database) -> int:
    with database.transaction() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        row = cursor.fetchone()
    assert row
    return int(row[0])


def add_one(database: Database) -> None:
    with database.transaction() as cursor:
        cursor.execute("UPDATE counters SET value = value + 1 WHERE id = 1")


def value(database: Database) -> int:
    with database.transaction() as cursor:
        cursor.execute("SELECT value FROM counters WHERE id = 1")
        row = cursor.fetchone()
    assert row
    return int(row[0])


# -- connections


def test_there_is_one_connection_however_much_is_asked(
    database: Database, fresh: FreshDatabase
) -> None:
    first = pid(database)
    for _ in range(50):
        add_one(database)
    assert (pid(database), value(database), fresh.connections()) == (first, 50, 1)
    database.close()
    assert fresh.connections() == 0


def test_a_restart_between_two_uses_is_not_noticed(
    database: Database, fresh: FreshDatabase, server: list[servers.Postgres]
) -> None:
    add_one(database)
    servers.stop(server[0])
    start(server)
    add_one(database)
    assert (value(database), fresh.connections()) == (2, 1)


def test_a_server_that_is_away_is_an_outage_until_it_is_back(
    database: Database, server: list[servers.Postgres]
) -> None:
    servers.stop(server[0])
    for _ in range(2):
        with pytest.raises(TransientError, match="cannot be reached") as caught:
            add_one(database)
        assert server[0].password not in str(caught.value)
    start(server)
    add_one(database)
    assert value(database) == 1


def test_a_restart_within_a_use_is_an_outage_and_nothing_is_done_twice(
    database: Database, fresh: FreshDatabase, server: list[servers.Postgres]
) -> None:
    bodies = 0
    with pytest.raises(TransientError), database.transaction() as cursor:
        bodies += 1
        cursor.execute("UPDATE counters SET value = value + 1 WHERE id = 1")
        servers.stop(server[0])
        start(server)
        cursor.execute("UPDATE counters SET value = value + 1 WHERE id = 2")
    assert bodies == 1
    assert value(database) == 0
    assert fresh.connections() == 1


def test_a_connection_that_ends_before_the_commit_is_an_outage(
    database: Database, fresh: FreshDatabase
) -> None:
    with pytest.raises(TransientError), database.transaction() as cursor:
        cursor.execute("UPDATE counters SET value = value + 1 WHERE id = 1")
        fresh.terminate()
    assert value(database) == 0


def test_under_load_a_restart_costs_transient_errors_only(
    fresh: FreshDatabase, database: Database, server: list[servers.Postgres]
) -> None:
    done, outages, stop = [], [], threading.Event()

    def work() -> None:
        own = fresh.database(application_name="load")
        while not stop.is_set():
            try:
                add_one(own)
                done.append(1)
            except TransientError as error:
                outages.append(str(error))
                time.sleep(0.01)
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            time.sleep(0.3)
            servers.stop(server[0])
            time.sleep(0.1)
            start(server)
        time.sleep(0.3)
        assert fresh.connections("load") <= 4
    finally:
        stop.set()
        for thread in threads:
            thread.join(scaled(20))
    assert outages
    # One that ended while it was being committed may count and have been reported as an outage.
    assert len(done) <= value(database) <= len(done) + len(outages)


def test_a_server_that_takes_no_writes_is_left_for_one_that_does(
    database: Database, fresh: FreshDatabase
) -> None:
    before = pid(database)
    fresh.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    fresh.ask("SELECT pg_reload_conf()")
    try:
        deadline = time.monotonic() + scaled(5)
        while time.monotonic() < deadline:
            try:
                add_one(database)
            except TransientError as error:
                refusal = str(error)
                break
        else:
            pytest.fail("a read-only server took a write")
        assert "25006" in refusal
        assert value(database) >= 0  # reading goes on
    finally:
        with superuser(fresh.postgres) as cursor:
            cursor.execute("SET default_transaction_read_only = off")
            cursor.execute("ALTER SYSTEM RESET default_transaction_read_only")
            cursor.execute("SELECT pg_reload_conf()")
    count, deadline = value(database), time.monotonic() + scaled(5)
    while True:
        try:
            add_one(database)
            break
        except TransientError:
            assert time.monotonic() < deadline
    assert value(database) == count + 1
    assert pid(database) != before
    assert fresh.connections() == 1


def test_a_kept_connection_that_became_read_only_is_replaced_unnoticed(
    database: Database, fresh: FreshDatabase
) -> None:
    before = pid(database)
    # As after a failover: the server that this connection leads to is the standby now.
    with database.transaction() as cursor:
        cursor.execute("SET SESSION default_transaction_read_only = on")
    add_one(database)
    assert (value(database), fresh.connections()) == (1, 1)
    assert pid(database) != before


def test_a_rotated_password_is_read_again(database: Database, fresh: FreshDatabase) -> None:
    user, old = fresh.postgres.username, fresh.postgres.password
    try:
        fresh.ask(f"ALTER ROLE {user} PASSWORD 'newer'")
        add_one(database)  # an open connection stays
        fresh.terminate()
        with pytest.raises(TransientError, match="authentication") as caught:
            add_one(database)  # the rotation is half done
        assert old not in str(caught.value)
        fresh.put_secret("newer")
        add_one(database)
        assert (value(database), fresh.connections()) == (2, 1)
    finally:
        fresh.ask(f"ALTER ROLE {user} PASSWORD '{old}'")


def test_a_secret_of_another_form_is_not_shown(fresh: FreshDatabase) -> None:
    fresh.session.client("secretsmanager").put_secret_value(
        SecretId=fresh.secret_arn, SecretString='{"password": "hunter2"}'
    )
    with pytest.raises(ConfigurationError) as caught, fresh.database().transaction():
        pass
    assert "username" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_full_server_is_an_outage(fresh: FreshDatabase) -> None:
    fresh.ask(f"ALTER DATABASE {fresh.name} CONNECTION LIMIT 0")
    with (
        pytest.raises(TransientError, match="too many connections"),
        fresh.database().transaction(),
    ):
        pass


# -- transactions


def test_an_error_of_the_caller_rolls_back_and_keeps_the_connection(database: Database) -> None:
    before = pid(database)
    with pytest.raises(ValueError, match="mine"), database.transaction() as cursor:
        cursor.execute("UPDATE counters SET value = value + 1 WHERE id = 1")
        raise ValueError("mine")
    assert (value(database), pid(database)) == (0, before)


def test_what_a_statement_did_wrong_is_the_callers(database: Database) -> None:
    before = pid(database)
    with (
        pytest.raises(psycopg2.errors.UniqueViolation),
        database.transaction() as cursor,
    ):
        cursor.execute("INSERT INTO counters VALUES (1, 1)")
    assert pid(database) == before


def test_a_failure_that_was_swallowed_is_no_commit(database: Database) -> None:
    with (
        pytest.raises(PermanentError, match="nothing was committed"),
        database.transaction() as cursor,
    ):
        cursor.execute("UPDATE counters SET value = value + 1 WHERE id = 1")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute("INSERT INTO counters VALUES (1, 1)")
    assert value(database) == 0


def test_transactions_do_not_nest(database: Database) -> None:
    with (
        pytest.raises(PermanentError, match="one transaction at a time"),
        database.transaction(),
        database.transaction(),
    ):
        pass
    add_one(database)


def test_a_transaction_that_was_cut_off_is_not_gone_on_with(database: Database) -> None:
    before = pid(database)
    assert database._connection
    database._start(database._connection)
    with database._connection.cursor() as cursor:
        cursor.execute("UPDATE counters SET value = value + 1 WHERE id = 1")
    add_one(database)
    assert value(database) == 1
    assert pid(database) != before


def test_a_slow_statement_is_ended(fresh: FreshDatabase) -> None:
    database = fresh.database(statement_timeout_seconds=0.1)
    before = pid(database)
    with pytest.raises(TransientError, match="took too long"), database.transaction() as cursor:
        cursor.execute("SELECT pg_sleep(10)")
    assert pid(database) == before
    database.close()


def test_a_transaction_that_idles_is_ended(fresh: FreshDatabase) -> None:
    database = fresh.database(idle_timeout_seconds=0.1)
    with pytest.raises(TransientError), database.transaction() as cursor:
        cursor.execute("SELECT 1")
        time.sleep(0.5)
        cursor.execute("SELECT 1")
    assert pid(database)
    database.close()


def test_a_setting_does_not_outlive_its_transaction(database: Database) -> None:
    """RDS Proxy would pin a session with one that does."""
    before = pid(database)
    assert database._connection
    with database._connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
    assert pid(database) == before


def test_of_two_that_block_each_other_one_is_to_try_again(
    database: Database, fresh: FreshDatabase
) -> None:
    other, both = fresh.database(), threading.Barrier(2, timeout=scaled(10))
    failures: list[BaseException] = []

    def update(one: Database, first: int, second: int) -> None:
        try:
            with one.transaction() as cursor:
                cursor.execute("UPDATE counters SET value = value + 1 WHERE id = %s", [first])
                both.wait()
                cursor.execute("UPDATE counters SET value = value + 1 WHERE id = %s", [second])
        except TransientError as error:
            failures.append(error)

    threads = [
        threading.Thread(target=update, args=(database, 1, 2)),
        threading.Thread(target=update, args=(other, 2, 1)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(scaled(20))
    assert len(failures) == 1
    assert "deadlock" in str(failures[0])
    assert value(database) == 1
    other.close()


# -- migrations

_MIGRATE = """
import sys
from services.platform import manifest
from services.schema import migrate_database
from services.platform.database import Database, DatabaseConfiguration
import boto3
url, arn, endpoint = sys.argv[1:]
database = Database(
    DatabaseConfiguration(url, arn, None, 5, 10.0, 15.0, "migration"),
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


def test_the_server_keeps_its_secrets_and_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    modes = {path: path.stat().st_mode for path in (tmp_path, *tmp_path.parents)}
    with servers.running(folder) as first:
        with superuser(first) as cursor:
            cursor.execute("CREATE TABLE kept ()")
        assert stat.S_IMODE((folder / "credentials.json").stat().st_mode) == 0o600
        for password in (first.password, first.superuser_password):
            assert password not in first.log_file.read_text()
        for wrong in ("", "wrong"):
            with pytest.raises(psycopg2.OperationalError):
                psycopg2.connect(first.url, password=wrong)
    with servers.running(folder) as second, superuser(second) as cursor:
        assert second.password == first.password
        cursor.execute("SELECT to_regclass('kept')")
        assert cursor.fetchone() == ("kept",)
    with servers.running(folder, fresh=True) as third, superuser(third) as cursor:
        cursor.execute("SELECT to_regclass('kept')")
        assert cursor.fetchone() == (None,)
    assert {path: path.stat().st_mode for path in modes} == modes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts Postgres as another user")
def test_server_below_a_root_only_folder_runs_from_a_copy_without_mode_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "checkout"
    closed.mkdir(mode=0o700)
    found = importlib.util.find_spec(servers.WHEEL)
    assert found is not None
    assert found.origin is not None
    installed = Path(found.origin).parent
    for folder in (installed, installed.with_name(f"{installed.name}.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    monkeypatch.syspath_prepend(str(closed))
    modes = {path: path.stat().st_mode for path in (closed, *closed.parents)}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as copies:
        Path(copies).chmod(0o755)
        monkeypatch.setattr(servers, "COPIES", Path(copies), raising=False)
        with servers.running(closed / "lab") as running, superuser(running) as cursor:
            program = Path(f"/proc/{running.process.pid}/exe").resolve()
            cursor.execute("SHOW data_directory")
            assert cursor.fetchone() == (str(closed / "lab" / "data"),)
        assert program.is_relative_to(copies)
    assert {path: path.stat().st_mode for path in modes} == modes


def test_a_server_without_its_port_tells_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(TransientError, match="Address already in use"):
            servers.start(tmp_path, taken.getsockname()[1])


def test_the_server_ends_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from services.local import postgres\n"
            "server = postgres.start(Path(sys.argv[1]), int(sys.argv[2]))\n"
            "print(server.process.pid, flush=True); time.sleep(60)",
            str(tmp_path),
            str(free_port()),
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    server = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    eventually(lambda: not alive(server), "the server ends with its parent")
    parent.stdout.close()


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
