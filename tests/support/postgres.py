"""Creates databases for tests, with their passwords in the emulator's Secrets Manager."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from services.local.aws_session import LocalSession
from services.local.postgres import Postgres
from services.platform.database import Database, DatabaseConfiguration
from services.schema import migrate_database

# The database with the lab's schema of each server, by URL.
_templates: dict[str, str] = {}


@dataclass
class FreshDatabase:
    """A new, empty database on a server."""

    postgres: Postgres
    name: str
    session: LocalSession
    secret_arn: str
    opened: list[Database] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.postgres.url.replace("/darkroom?", f"/{self.name}?")

    def database(self, **changes: Any) -> Database:
        """A connection as a function makes it, with `changes` to its configuration."""
        values: dict[str, Any] = {
            "application_name": "test",
            "statement_timeout_seconds": 5.0,
            "idle_timeout_seconds": 15.0,
            "role": None,
        }
        database = Database(
            DatabaseConfiguration(
                url=self.url,
                secret_arn=self.secret_arn,
                ca_bundle=None,
                connect_timeout_seconds=5,
                **values | changes,
            ),
            self.session.client("secretsmanager"),
        )
        self.opened.append(database)
        return database

    def close(self) -> None:
        """Closes the connections that `database` has made."""
        while self.opened:
            self.opened.pop().close()

    def drop(self) -> None:
        """Deletes the database: a server of many keeps 300 files of each."""
        self.close()
        self.ask(f"DROP DATABASE {self.name} WITH (FORCE)")

    def empty(self) -> None:
        """Deletes all rows but the schema's revision, and ends all connections. A database of its
        own for each test takes Postgres four times as long."""
        self.close()
        with superuser(self.postgres, self.name) as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            cursor.execute(
                "SELECT tablename FROM pg_tables "
                "WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
            # No trigger runs: rows go in any order, and from tables that only take new ones too.
            deletions = [f'DELETE FROM "{name}"' for (name,) in cursor.fetchall()]  # noqa: S608
            cursor.execute("; ".join(["SET session_replication_role = replica", *deletions]))

    def put_secret(self, password: str) -> None:
        value = json.dumps({"username": self.postgres.username, "password": password})
        self.session.client("secretsmanager").put_secret_value(
            SecretId=self.secret_arn, SecretString=value
        )

    def connections(self, application: str = "test") -> int:
        """The number of connections of an application to this database."""
        count: int = self.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = %s",
            self.name,
            application,
        )
        return count

    def terminate(self) -> None:
        """Terminates every connection to this database, as a server shutdown does."""
        self.ask(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
            "WHERE datname = %s AND usename = %s",
            self.name,
            self.postgres.username,
        )

    def ask(self, sql: str, *values: Any) -> Any:
        """The first value of a query as superuser; None for a statement without rows."""
        with superuser(self.postgres) as cursor:
            cursor.execute(sql, values)
            return cursor.fetchone()[0] if cursor.description else None


@contextmanager
def superuser(postgres: Postgres, database: str = "darkroom") -> Iterator[Any]:
    """A cursor of the server's superuser in a database, in autocommit mode."""
    url = postgres.superuser_url.replace("/darkroom?", f"/{database}?")
    connection = psycopg2.connect(url, password=postgres.superuser_password)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def fresh_database(
    postgres: Postgres, session: LocalSession, template: str = "template1"
) -> FreshDatabase:
    """Creates a copy of the database `template`, by default an empty one, and its secret."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with superuser(postgres) as cursor:
        # By default Postgres writes each block of the copy into its log as well.
        cursor.execute(
            f"CREATE DATABASE {name} OWNER {postgres.username} TEMPLATE {template} "
            "STRATEGY FILE_COPY"
        )
    value = json.dumps({"username": postgres.username, "password": postgres.password})
    made = session.client("secretsmanager").create_secret(Name=name, SecretString=value)
    return FreshDatabase(postgres, name, session, made["ARN"])


def migrated_database(postgres: Postgres, session: LocalSession) -> FreshDatabase:
    """Creates a database with the lab's schema, and its secret."""
    return fresh_database(postgres, session, _migrated_template(postgres, session))


def _migrated_template(postgres: Postgres, session: LocalSession) -> str:
    """The name of a database of the server that has the lab's schema and no connections."""
    if postgres.url not in _templates:
        made = fresh_database(postgres, session)
        with closing(made.database()) as database:
            migrate_database.migrate(database)
        _templates[postgres.url] = made.name
    return _templates[postgres.url]
