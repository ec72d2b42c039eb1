"""`darkroom backfill`: develops photos that are in the bucket already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.options import ExitCode, Json, Outputs, number
from services.cli.output import print_json
from services.local import lab
from services.local.state import PROJECT
from services.local.terminal import page, people
from services.operations import deployed
from services.operations.backfill import Backfill, Progress, Survey, parse_location
from services.operations.cost.prices import read_prices
from services.operations.cost.usage import backfill_dollars
from services.operations.signals import terminated_like_interrupted
from services.platform.checkout import state_folder
from services.platform.errors import PermanentError
from services.platform.manifest import load_all

RATE, RATE_MAX = 5.0, 1000
FUNCTION = "process-image"
GB = 1_000_000_000


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(backfill)


def backfill(
    location: Annotated[
        str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="The photos, in the lab's bucket.")
    ],
    suffix: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Only keys that end so, such as .jpg; may be repeated."),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            parser=number("photos a second", RATE_MAX),
            metavar="N",
            help=f"At most N photos a second; {RATE:g} by default.",
        ),
    ] = RATE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count and price the photos; send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Develop photos that are in the bucket already.

    Counts and prices them first. Owners get no e-mail. Photos that the lab knows are skipped. A run
    that was interrupted goes on when it is started again with the same options.
    """
    work = _backfill(outputs, location, tuple(suffix or ()))
    with people.status("counting the photos"), terminated_like_interrupted():
        found = work.survey()
    dollars = backfill_dollars(found.selected, read_prices(), load_all(PROJECT / "images"))
    if not json:
        page.print(_described(found, dollars, rate))
    done = work.stored()
    if not dry_run and found.selected:
        if not yes:
            typer.confirm(f"Develop {found.selected:,} photos?", abort=True, err=True)
        with people.status("sending") as status, terminated_like_interrupted():
            done = work.run(rate, lambda sent: status.update(f"{sent.sent:,} photos sent"))
        if not json:
            page.print(f"{done.sent:,} photos sent to be developed.")
    if json:
        print_json(_document(found, dollars, done))
    return ExitCode.DONE


def _described(found: Survey, dollars: float, rate: float) -> str:
    hours = found.selected / rate / 3600
    return (
        f"{found.selected:,} photos, {found.bytes / GB:,.1f} GB; {found.others:,} other objects. "
        f"About ${dollars:,.2f} (list prices), and {hours:,.1f} hours at {rate:g} a second."
    )


def _document(found: Survey, dollars: float, done: Progress) -> dict[str, Any]:
    return {**asdict(found), "dollars": round(dollars, 4), "sent": done.sent}


def _backfill(outputs: Path | None, location: str, suffixes: tuple[str, ...]) -> Backfill:
    """The work on the lab on AWS that `outputs` names, or on the embedded lab."""
    if outputs is not None:
        made = deployed.read(outputs)
        return _work(made.client, made.queues, made.buckets, location, suffixes)
    state = lab.required()
    return _work(state.session.client, state.queues, state.buckets, location, suffixes)


def _work(
    client: Any,
    queues: Mapping[str, Any],
    buckets: Mapping[str, str],
    location: str,
    suffixes: tuple[str, ...],
) -> Backfill:
    selection = parse_location(location, suffixes)
    if selection.bucket != buckets["originals"]:
        raise PermanentError(
            f"{selection.bucket} is not the lab's bucket of originals ({buckets['originals']}), "
            "and its functions may read no other; name the bucket in existing_buckets"
        )
    return Backfill(
        s3=client("s3"),
        sqs=client("sqs"),
        queue_url=queues[FUNCTION].url,
        selection=selection,
        state_folder=state_folder() / "backfills",
    )
