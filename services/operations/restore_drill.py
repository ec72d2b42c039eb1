"""Restores the newest snapshot of an RDS instance to a temporary one, checks it, and deletes it.

The check: the release's migrations can be applied, and each table has the rows of the live
database, less a share that was written since the snapshot.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import BotoCoreError, ClientError

from services.operations.signals import ignore_signals
from services.platform import timestamps
from services.platform.aws.clients import error_code
from services.platform.database import Database, DatabaseConfiguration
from services.platform.errors import DarkroomError, PermanentError, TransientError
from services.schema import migrate_database

# RDS: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html
AVAILABLE = "available"
NOT_FOUND = frozenset({"DBInstanceNotFound", "DBInstanceNotFoundFault"})
FAILED = frozenset({"failed", "restore-error", "incompatible-restore", "incompatible-network"})
AVAILABLE_SECONDS = 2 * 3600.0
CONNECT_SECONDS = 900.0
POLL_SECONDS = 15.0
# Counting a large table takes longer than any statement of a function.
COUNT_SECONDS = 900.0
IDENTIFIER_CHARACTERS = 63
_MARK = "-drill-"


class DrillError(DarkroomError):
    """The snapshot could not be restored, or not be checked."""


@dataclass(frozen=True)
class TableRows:
    """Rows of a table in the live and in the restored database; None where the table is missing."""

    table: str
    live: int | None
    restored: int | None

    def is_enough(self, percent: float) -> bool:
        """Whether at most `percent` of the live rows are missing."""
        return (self.restored or 0) >= (self.live or 0) * (1 - percent / 100)


@dataclass(frozen=True)
class DrillReport:
    """What a drill found. `applied` are the revisions that the snapshot was behind the release;
    `seconds` is the time from the restore to the first connection."""

    snapshot: str
    taken_at: str
    instance: str
    revision: str | None
    head: str
    applied: tuple[str, ...]
    tables: tuple[TableRows, ...]
    missing_percent: float
    seconds: float

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the drill failed; empty if it did not."""
        found = []
        if self.revision != self.head:
            found.append(f"the schema is at revision {self.revision}, not at {self.head}")
        if not self.tables:
            found.append("the live database has no tables")
        found += [
            f"{rows.table} has {rows.restored or 0:,} of {rows.live or 0:,} rows"
            for rows in self.tables
            if not rows.is_enough(self.missing_percent)
        ]
        return tuple(found)


@dataclass(frozen=True)
class RestoreDrill:
    """A drill for the instance `identifier`, whose live database `live` names. `rds` is a client;
    `connect` makes a database of a configuration and a client for secrets, for tests."""

    rds: Any
    identifier: str
    live: DatabaseConfiguration
    missing_percent: float
    report: Callable[[str], None]
    connect: Callable[[DatabaseConfiguration, Any], Database] = Database
    poll_seconds: float = POLL_SECONDS

    def run(self) -> DrillReport:
        """Restores, checks, and deletes the temporary instance, whatever happens.

        Raises PermanentError where there is no such instance or no snapshot of it, DrillError when
        the restore fails, TransientError when a database cannot be reached.
        """
        instance = self._instance()
        snapshot = self._newest_snapshot()
        name = f"{self.identifier[: IDENTIFIER_CHARACTERS - 20]}{_MARK}{secrets.token_hex(4)}"
        self.report(f"restoring {snapshot['DBSnapshotIdentifier']} to {name}")
        began = time.monotonic()
        try:
            self._restore(name, snapshot, instance)
            address = self._await_available(name)
            restored = self._open(name, address)
            with closing(restored):
                seconds = time.monotonic() - began
                return self._check(snapshot, name, restored, seconds)
        finally:
            with ignore_signals():
                self._delete(name)

    def _instance(self) -> Mapping[str, Any]:
        try:
            (found,) = self.rds.describe_db_instances(DBInstanceIdentifier=self.identifier)[
                "DBInstances"
            ]
        except ClientError as error:
            if error_code(error) not in NOT_FOUND:
                raise
            raise PermanentError(f"RDS instance {self.identifier!r} not found") from error
        if str(found["Engine"]).startswith("aurora"):
            raise PermanentError(
                f"{self.identifier} is a server of an Aurora cluster, whose snapshots are restored "
                "as a cluster; expected an RDS instance"
            )
        instance: Mapping[str, Any] = found
        return instance

    def _newest_snapshot(self) -> Mapping[str, Any]:
        pages = self.rds.get_paginator("describe_db_snapshots").paginate(
            DBInstanceIdentifier=self.identifier
        )
        found = [s for page in pages for s in page["DBSnapshots"] if s["Status"] == AVAILABLE]
        if not found:
            raise PermanentError(f"RDS instance {self.identifier!r} has no snapshot")
        newest: Mapping[str, Any] = max(found, key=lambda s: s["SnapshotCreateTime"])
        return newest

    def _restore(self, name: str, snapshot: Mapping[str, Any], instance: Mapping[str, Any]) -> None:
        self.rds.restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=name,
            DBSnapshotIdentifier=snapshot["DBSnapshotIdentifier"],
            DBInstanceClass=instance["DBInstanceClass"],
            DBSubnetGroupName=instance["DBSubnetGroup"]["DBSubnetGroupName"],
            VpcSecurityGroupIds=[
                group["VpcSecurityGroupId"] for group in instance["VpcSecurityGroups"]
            ],
            MultiAZ=False,
            PubliclyAccessible=False,
            DeletionProtection=False,
            CopyTagsToSnapshot=False,
            Tags=[{"Key": "purpose", "Value": "restore-drill"}],
        )

    def _await_available(self, name: str) -> tuple[str, int]:
        """Waits until the instance is available; returns its host and port."""
        give_up_at = time.monotonic() + AVAILABLE_SECONDS
        shown = None
        while True:
            answer = self.rds.describe_db_instances(DBInstanceIdentifier=name)
            (found,) = answer["DBInstances"]
            status = found["DBInstanceStatus"]
            if status == AVAILABLE:
                return found["Endpoint"]["Address"], int(found["Endpoint"]["Port"])
            if status in FAILED or time.monotonic() > give_up_at:
                raise DrillError(f"the instance {name} is {status}, not available")
            if status != shown:
                self.report(f"{name} is {status}")
                shown = status
            time.sleep(self.poll_seconds)

    def _open(self, name: str, address: tuple[str, int]) -> Database:
        """The restored database. The live password is RDS's secret of the live instance, so the
        temporary one gets a password of its own."""
        password = secrets.token_urlsafe(24)
        self.rds.modify_db_instance(
            DBInstanceIdentifier=name, MasterUserPassword=password, ApplyImmediately=True
        )
        url = urlsplit(self.live.url)
        user = url.username or ""
        host, port = address
        configuration = DatabaseConfiguration(
            url=urlunsplit(url._replace(netloc=f"{user}@{host}:{port}")),
            secret_arn=name,
            ca_bundle=self.live.ca_bundle,
            connect_timeout_seconds=self.live.connect_timeout_seconds,
            statement_timeout_seconds=COUNT_SECONDS,
            idle_timeout_seconds=COUNT_SECONDS,
            application_name="restore-drill",
            role=None,
        )
        database = self.connect(configuration, _Login(user, password))
        give_up_at = time.monotonic() + CONNECT_SECONDS
        self.report(f"connecting to {name}")
        while True:
            try:
                with database.transaction():
                    return database
            except TransientError:
                # RDS changes the password a moment after the call.
                if time.monotonic() > give_up_at:
                    raise
            time.sleep(self.poll_seconds)

    def _check(
        self, snapshot: Mapping[str, Any], name: str, restored: Database, seconds: float
    ) -> DrillReport:
        self.report("applying migrations and counting rows")
        applied = migrate_database.migrate(restored)
        status = migrate_database.status(restored)
        with closing(self.connect(self.live, None)) as live:
            of_live = count_rows(live)
        of_restored = count_rows(restored)
        return DrillReport(
            snapshot=snapshot["DBSnapshotIdentifier"],
            taken_at=timestamps.format_utc(snapshot["SnapshotCreateTime"]),
            instance=name,
            revision=status.revision,
            head=status.head,
            applied=tuple(applied),
            tables=tuple(
                TableRows(table, of_live.get(table), of_restored.get(table))
                for table in sorted(of_live.keys() | of_restored.keys())
            ),
            missing_percent=self.missing_percent,
            seconds=round(seconds, 1),
        )

    def _delete(self, name: str) -> None:
        """Deletes the temporary instance, without a snapshot and without its backups."""
        try:
            self.rds.delete_db_instance(
                DBInstanceIdentifier=name, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
            )
        except ClientError as error:
            if error_code(error) in NOT_FOUND:
                return  # the restore did not begin
            raise DrillError(_left(name, error)) from error
        except BotoCoreError as error:
            raise DrillError(_left(name, error)) from error
        self.report(f"deleted {name}")


@dataclass(frozen=True)
class _Login:
    """Secrets Manager's form of a password that is in no secret."""

    username: str
    password: str

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803, ARG002
        return {"SecretString": json.dumps({"username": self.username, "password": self.password})}


def count_rows(database: Database) -> dict[str, int]:
    """The rows of each table of the schema `public`. Raises TransientError."""
    from psycopg2.sql import SQL, Identifier

    with database.transaction() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table)))
            row = cursor.fetchone()
            found[str(table)] = int(row[0]) if row else 0
    return found


def _left(name: str, error: Exception) -> str:
    return (
        f"the temporary instance {name} could not be deleted and costs money: {error}. Delete it: "
        f"aws rds delete-db-instance --db-instance-identifier {name} --skip-final-snapshot"
    )
