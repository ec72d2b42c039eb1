"""Postgres as the functions have it: on a real server that restarts, fails over and gives up."""

# ruff: noqa: PT012  the tests are about what becomes of a whole transaction

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest

from services.local import postgres as servers
from services.platform.database import Database
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from tests.integration.database.support import start
from tests.support.postgres import FreshDatabase, superuser
from tests.support.waiting import scaled


@pytest.fixture
def database(fresh: FreshDatabase) -> Iterator[Database]:
    made = fresh.database()
    with made.transaction() as cursor:
        cursor.execute("CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)")
        cursor.execute("INSERT INTO counters VALUES (1, 0), (2, 0)")
    yield made
    made.close()


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
