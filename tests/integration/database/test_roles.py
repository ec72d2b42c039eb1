"""The roles of the functions in Postgres: what each must not do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2 import errors

from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.local.postgres import Postgres
from services.platform.database import Database
from services.platform.errors import PermanentError
from tests.support.declarations import manifests
from tests.support.postgres import FreshDatabase, migrated_database

ACCOUNTS, ORDERS, READER = "darkroom_accounts", "darkroom_orders", "darkroom_orders_reader"
MAIL, EXPORT = "darkroom_account_mail", "darkroom_export"
OPERATORS, ERASURE = "darkroom_operators", "darkroom_erasure"
TABLES = (
    "users",
    "products",
    "stock",
    "orders",
    "order_lines",
    "reservations",
    "order_transitions",
    "address_codes",
    "data_exports",
    "second_factors",
    "recovery_codes",
)
OF_ACCOUNTS = {"users", "address_codes", "data_exports", "second_factors", "recovery_codes"}
# What functions write, by role: the table and the operation.
WRITES = {
    ACCOUNTS: {
        ("users", "INSERT"),
        ("address_codes", "DELETE"),
        ("data_exports", "INSERT"),
        *((t, w) for t in ("second_factors", "recovery_codes") for w in ("INSERT", "DELETE")),
    },
    ORDERS: {
        ("orders", "INSERT"),
        ("order_lines", "INSERT"),
        ("order_transitions", "INSERT"),
        ("reservations", "INSERT"),
    },
    READER: set(),
    MAIL: {("address_codes", "INSERT")},
    EXPORT: set(),
    OPERATORS: {("products", "INSERT"), ("stock", "INSERT"), ("second_factors", "DELETE")},
    ERASURE: {(t, "DELETE") for t in ("users", "address_codes", "data_exports", "second_factors")},
}
READS = {
    ACCOUNTS: OF_ACCOUNTS,
    ORDERS: {*TABLES} - OF_ACCOUNTS,
    READER: {*TABLES} - OF_ACCOUNTS - {"reservations"},
    MAIL: set(),
    EXPORT: {"orders", "order_lines", "order_transitions", "data_exports"},
    OPERATORS: {"products", "stock"},
    ERASURE: set(),
}
ROLES = [*READS]


@pytest.fixture(scope="module")
def of_all_roles(server: list[Postgres], cloud: Emulator) -> FreshDatabase:
    return migrated_database(server[0], LocalSession(cloud.endpoint))


@pytest.fixture
def migrated(of_all_roles: FreshDatabase) -> Iterator[FreshDatabase]:
    """A database with the lab's schema. Tests leave it as it is."""
    yield of_all_roles
    of_all_roles.close()


def denied(database: Database, sql: str) -> bool:
    """Whether Postgres refuses a statement for lack of a right."""
    try:
        with database.transaction() as cursor:
            cursor.execute(sql)
            raise _Allowed
    except errors.InsufficientPrivilege:
        return True
    except (_Allowed, psycopg2.Error):
        return False


class _Allowed(Exception):  # noqa: N818  ends the transaction
    """The statement was not refused."""


def test_every_role_of_a_function_and_every_table_is_tried(migrated: FreshDatabase) -> None:
    roles = {manifest.environment.get("DATABASE_ROLE") for manifest in manifests()} - {None}
    assert roles == set(ROLES) == set(WRITES)
    with migrated.database().transaction() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert {name for (name,) in cursor.fetchall()} == {*TABLES, "alembic_version"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", TABLES)
def test_role_reads_and_writes_only_what_its_functions_need(
    migrated: FreshDatabase, role: str, table: str
) -> None:
    database = migrated.database(role=role)
    select = f"SELECT * FROM {table}"  # noqa: S608  a constant
    assert denied(database, select) == (table not in READS[role])
    insert = f"INSERT INTO {table} DEFAULT VALUES"
    assert denied(database, insert) == ((table, "INSERT") not in WRITES[role])
    delete = f"DELETE FROM {table}"  # noqa: S608  a constant
    assert denied(database, delete) == ((table, "DELETE") not in WRITES[role])
    for sql in (f"TRUNCATE {table} CASCADE", f"DROP TABLE {table}"):
        assert denied(database, sql), sql


@pytest.mark.parametrize(
    ("role", "sql"),
    [
        (ACCOUNTS, "UPDATE users SET role = 'administrator'"),
        (ACCOUNTS, "UPDATE users SET id = gen_random_uuid()"),
        (ACCOUNTS, "UPDATE orders SET status = 'paid'"),
        (ORDERS, "SELECT password_hash FROM users"),
        (ORDERS, "UPDATE users SET password_hash = ''"),
        (ORDERS, "UPDATE orders SET total_minor = 1"),
        (ORDERS, "UPDATE orders SET user_id = gen_random_uuid()"),
        (ORDERS, "UPDATE order_lines SET unit_price_minor = 1"),
        (ORDERS, "UPDATE products SET price_minor = 1"),
        (ORDERS, "UPDATE order_transitions SET cause = ''"),
        (MAIL, "SELECT password_hash FROM users"),
        (MAIL, "SELECT role FROM users"),
        (MAIL, "UPDATE users SET name = ''"),
        (EXPORT, "SELECT password_hash FROM users"),
        (EXPORT, "SELECT secret FROM second_factors"),
        (OPERATORS, "SELECT secret FROM second_factors"),
        (OPERATORS, "UPDATE second_factors SET secret = ''"),
        (OPERATORS, "SELECT * FROM recovery_codes"),
        (EXPORT, "SELECT code_hash FROM recovery_codes"),
        (EXPORT, "UPDATE data_exports SET user_id = gen_random_uuid()"),
        (READER, "SELECT password_hash FROM users"),
        (READER, "SELECT email FROM users"),
        (READER, "UPDATE orders SET status = 'paid'"),
        (READER, "UPDATE stock SET on_hand = 1000"),
        (OPERATORS, "SELECT password_hash FROM users"),
        (OPERATORS, "SELECT deletion_requested_at FROM users"),
        (OPERATORS, "UPDATE users SET password_hash = ''"),
        (OPERATORS, "UPDATE users SET email = ''"),
        (ERASURE, "SELECT password_hash FROM users"),
        (ERASURE, "SELECT email FROM users"),
        (ERASURE, "SELECT secret FROM second_factors"),
        (ERASURE, "UPDATE users SET role = 'administrator'"),
        (ERASURE, "UPDATE users SET password_hash = ''"),
        (ERASURE, "UPDATE orders SET total_minor = 1"),
        (ERASURE, "DELETE FROM orders"),
        *((role, "CREATE TABLE left_behind ()") for role in ROLES),
        *((role, "CREATE ROLE another") for role in ROLES),
        *((role, "SELECT * FROM alembic_version") for role in ROLES),
    ],
)
def test_role_is_refused_what_its_functions_never_do(
    migrated: FreshDatabase, role: str, sql: str
) -> None:
    assert denied(migrated.database(role=role), sql)


def test_role_ends_with_its_transaction(migrated: FreshDatabase) -> None:
    database = migrated.database(role=READER)
    with database.transaction() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (READER,)
    with database.connect().cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (migrated.postgres.username,)


def test_role_that_does_not_exist_is_refused(migrated: FreshDatabase) -> None:
    with (
        pytest.raises((psycopg2.Error, PermanentError), match="does not exist"),
        migrated.database(role=f"r{uuid.uuid4().hex}").transaction(),
    ):
        pass
