"""`darkroom restore-drill`, with the emulator's RDS (which has records only) and databases of a
real Postgres in place of the live and of the restored one."""

from __future__ import annotations

import dataclasses
import functools
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.cli import restore_drill as command
from services.cli.main import main
from services.cli.options import ExitCode
from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.operations.restore_drill import RestoreDrill
from services.platform.database import Database, DatabaseConfiguration
from services.platform.errors import PermanentError
from services.schema import migrate_database
from tests.support.postgres import FreshDatabase, fresh_database

PRODUCTS = 40


@dataclass
class Drill:
    """An RDS instance with snapshots. `opened` are the configurations of the restored database."""

    rds: Any
    identifier: str
    live: FreshDatabase
    restored: FreshDatabase
    steps: list[str] = field(default_factory=list)
    opened: list[DatabaseConfiguration] = field(default_factory=list)

    def connect(self, configuration: DatabaseConfiguration, secrets: Any) -> Database:
        if secrets is None:
            return self.live.database()
        self.opened.append(configuration)
        return self.restored.database()

    @property
    def drill(self) -> RestoreDrill:
        return RestoreDrill(
            self.rds, self.identifier, self.live.database().configuration, 5.0,
            self.steps.append, self.connect, poll_seconds=0.01,
        )  # fmt: skip

    def instances(self) -> list[str]:
        found = self.rds.describe_db_instances()["DBInstances"]
        return [i["DBInstanceIdentifier"] for i in found if self.identifier in str(i)]


def insert(database: FreshDatabase, products: int) -> None:
    with database.database().transaction() as cursor:
        for number in range(products):
            cursor.execute(
                "INSERT INTO products (id, name, paper, width_mm, height_mm, price_minor, currency)"
                " VALUES (%s, 'Poster', 'matt', 300, 400, 100, 'EUR')",
                [f"product-{number}"],
            )


@pytest.fixture
def drill(cloud: Emulator, postgres: Any) -> Iterator[Drill]:
    session = LocalSession(cloud.endpoint)
    rds = session.client("rds")
    identifier = f"lab-{uuid.uuid4().hex[:8]}"
    rds.create_db_instance(
        DBInstanceIdentifier=identifier, DBInstanceClass="db.t4g.micro", Engine="postgres",
        MasterUsername="darkroom", MasterUserPassword="of-the-live-one", AllocatedStorage=20,
    )  # fmt: skip
    for number in (1, 2):
        rds.create_db_snapshot(
            DBSnapshotIdentifier=f"{identifier}-{number}", DBInstanceIdentifier=identifier
        )
    live, restored = fresh_database(postgres, session), fresh_database(postgres, session)
    migrate_database.migrate(live.database())
    yield Drill(rds, identifier, live, restored)
    rds.delete_db_instance(DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)


def test_snapshot_of_an_older_schema_is_migrated_counted_and_deleted(drill: Drill) -> None:
    migrate_database.migrate(drill.restored.database(), "0003")
    report = drill.drill.run()
    assert report.problems == ()
    assert report.revision == report.head
    assert report.applied[0] == "0004"
    assert {rows.table for rows in report.tables} >= {"users", "orders", "products"}
    assert drill.instances() == [drill.identifier]
    (opened,) = drill.opened
    assert opened.url != drill.live.url
    assert any(f"{drill.identifier}-drill-" in step for step in drill.steps)


def test_missing_rows_beyond_the_bound_are_a_problem(drill: Drill) -> None:
    migrate_database.migrate(drill.restored.database())
    insert(drill.live, PRODUCTS)
    insert(drill.restored, PRODUCTS - 2)
    assert drill.drill.run().problems == ()
    strict = dataclasses.replace(drill.drill, missing_percent=4.0)
    assert strict.run().problems == ("products has 38 of 40 rows",)


def test_interrupted_drill_deletes_its_instance(drill: Drill) -> None:
    def interrupt(step: str) -> None:
        if step.startswith("connecting"):
            assert len(drill.instances()) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(drill.drill, report=interrupt).run()
    assert drill.instances() == [drill.identifier]


def test_instance_without_a_snapshot_is_refused(drill: Drill) -> None:
    for number in (1, 2):
        drill.rds.delete_db_snapshot(DBSnapshotIdentifier=f"{drill.identifier}-{number}")
    with pytest.raises(PermanentError, match="has no snapshot"):
        drill.drill.run()
    with pytest.raises(PermanentError, match="not found"):
        dataclasses.replace(drill.drill, identifier="no-such-instance").run()
    assert drill.instances() == [drill.identifier]


def test_command_prints_json_and_fails_on_a_problem(
    drill: Drill,
    cloud: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", drill.live.url)
    monkeypatch.setenv("DATABASE_SECRET_ARN", drill.live.secret_arn)
    made = functools.partial(RestoreDrill, connect=drill.connect, poll_seconds=0.01)
    monkeypatch.setattr(command, "RestoreDrill", made)
    migrate_database.migrate(drill.restored.database())
    insert(drill.live, PRODUCTS)
    assert main(["restore-drill", drill.identifier, "--json"]) == ExitCode.FAILED
    printed = json.loads(capsys.readouterr().out)
    assert printed["problems"] == ["products has 0 of 40 rows"]
    assert printed["snapshot"] in (f"{drill.identifier}-1", f"{drill.identifier}-2")
    assert main(["restore-drill", drill.identifier, "--missing", "100"]) == ExitCode.DONE
    assert "products" in capsys.readouterr().out
    assert drill.instances() == [drill.identifier]
