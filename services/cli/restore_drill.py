"""`darkroom restore-drill`: proves that the newest snapshot of Postgres can be restored."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import asdict
from typing import Annotated, Any

import boto3
import typer
from botocore.config import Config
from rich.markup import escape
from rich.table import Table

from services.cli.options import ExitCode, Json, number
from services.cli.output import print_json
from services.local.terminal import page, people
from services.operations.restore_drill import COUNT_SECONDS, DrillReport, RestoreDrill
from services.operations.signals import terminated_like_interrupted
from services.platform.configuration import read
from services.platform.database import DatabaseConfiguration
from services.platform.errors import PermanentError

MISSING_PERCENT = 5.0


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("restore-drill")(restore_drill)


def restore_drill(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="The RDS instance.")],
    missing: Annotated[
        float,
        typer.Option(
            parser=number("percent", 100, zero=True),
            metavar="PERCENT",
            help="The share of a table's rows that may be missing in the snapshot.",
        ),
    ] = MISSING_PERCENT,
    json: Json = False,
) -> ExitCode:
    """Restore the newest snapshot of Postgres to a temporary instance, and check it.

    Applies the migrations there, counts the rows of each table, compares them with the live
    database (DATABASE_URL, DATABASE_SECRET_ARN), and always deletes the instance. Runs where both
    databases can be reached, in the lab's VPC. Exit code 0: the snapshot is good; 1: it is not, or
    the drill failed.
    """
    if not os.environ.get("DATABASE_URL"):
        raise PermanentError("expected the live database in DATABASE_URL, got none")
    live = dataclasses.replace(
        read(DatabaseConfiguration, os.environ),
        statement_timeout_seconds=COUNT_SECONDS,
        idle_timeout_seconds=COUNT_SECONDS,
    )
    rds = boto3.session.Session().client(
        "rds",
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 5},
        ),
    )
    with people.status("reading the snapshots") as status, terminated_like_interrupted():

        def step(text: str) -> None:
            people.print(escape(text), soft_wrap=True)
            status.update(escape(text))

        report = RestoreDrill(rds, instance, live, missing, step).run()
    if json:
        print_json(_document(report))
    else:
        show(report)
    return ExitCode.FAILED if report.problems else ExitCode.DONE


def _document(report: DrillReport) -> dict[str, Any]:
    return {**asdict(report), "problems": list(report.problems)}


def show(report: DrillReport) -> None:
    """Prints the report."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("table")
    for heading in ("live", "restored"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for rows in report.tables:
        good = rows.is_enough(report.missing_percent)
        table.add_row(
            rows.table, _count(rows.live), _count(rows.restored), "" if good else "[red]missing[/]"
        )
    page.print(table)
    migrated = f", after {', '.join(report.applied)}" if report.applied else ""
    page.print(
        f"{escape(report.snapshot)} of {report.taken_at}: available after "
        f"{report.seconds:,.0f} s; revision {report.revision}{migrated}.",
        soft_wrap=True,
    )
    for problem in report.problems:
        page.print(f"[red]{escape(problem)}[/]", soft_wrap=True)


def _count(rows: int | None) -> str:
    return "none" if rows is None else f"{rows:,}"
