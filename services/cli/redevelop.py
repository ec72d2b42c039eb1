"""`darkroom redevelop`: develops images again whose recipe changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from services.catalog.recipes import decode
from services.catalog.store import Catalog
from services.cli.options import ExitCode, Json, Outputs, number
from services.cli.output import print_json
from services.imaging.recipes import Recipes
from services.local import lab
from services.local.terminal import page, people
from services.operations import deployed
from services.operations.redevelopment import Progress, Redevelopment, Selection
from services.operations.signals import terminated_like_interrupted
from services.platform.checkout import state_folder
from services.platform.errors import DarkroomError, PermanentError

RATE, RATE_MAX = 5.0, 1000
FUNCTION = "process-image"


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command()(redevelop)


def redevelop(
    owner: Annotated[
        str | None, typer.Option(metavar="ID", help="Only images of this customer.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only images uploaded before TIME, such as 2026-11-27 or 2026-11-27T12:00Z (UTC).",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only images of this recipe, chosen or by default."),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            parser=number("images a second", RATE_MAX),
            metavar="N",
            help=f"At most N images a second; {RATE:g} by default.",
        ),
    ] = RATE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the images; send nothing.")
    ] = False,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Develop images again whose recipe changed.

    Only images whose renditions are of an earlier version of their recipe. Owners get no e-mail. A
    run that was interrupted goes on when it is started again with the same options.
    """
    selection = Selection(owner, None if before is None else _time(before), recipe)
    work = _redevelopment(outputs, selection)
    with people.status("reading the catalogue") as status, terminated_like_interrupted():
        done = work.run(
            rate,
            dry_run=dry_run,
            progress=lambda progress: status.update(_summary(progress, dry_run)),
        )
    if json:
        print_json({k: v for k, v in asdict(done).items() if k != "position"})
    else:
        page.print(_summary(done, dry_run))
    return ExitCode.DONE


def _summary(done: Progress, dry_run: bool) -> str:
    verb = "would develop again" if dry_run else "sent to be developed again"
    return f"{verb}: {done.sent} images; up to date: {done.current}"


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"expected a time such as 2026-11-27 or 2026-11-27T12:00Z, got {text!r}"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _redevelopment(outputs: Path | None, selection: Selection) -> Redevelopment:
    """The work on the lab on AWS that `outputs` names, or on the embedded lab. Raises
    DarkroomError."""
    if outputs is not None:
        made = deployed.read(outputs)
        environment = made.environments.get(FUNCTION, {})
        recipes = _recipes(environment.get("RECIPES", ""), environment.get("RECIPE", ""))
        return _work(made.client, made.tables, made.queues, made.buckets, recipes, selection)
    state = lab.required()
    recipes = _recipes(state.recipes.get("definitions", ""), state.recipes.get("default", ""))
    return _work(
        state.session.client, state.tables, state.queues, state.buckets, recipes, selection
    )


def _recipes(definitions: str, default: str) -> Recipes:
    """The recipes that the functions have."""
    try:
        return Recipes(decode(definitions), default)
    except ValueError as error:
        raise DarkroomError(f"the lab has no valid recipes: {error}") from None


def _work(
    client: Any,
    tables: Mapping[str, str],
    queues: Mapping[str, Any],
    buckets: Mapping[str, str],
    recipes: Recipes,
    selection: Selection,
) -> Redevelopment:
    if selection.recipe is not None and selection.recipe not in recipes.by_name:
        raise PermanentError(
            f"--recipe must be one of {', '.join(sorted(recipes.by_name))}, "
            f"got {selection.recipe!r}"
        )
    return Redevelopment(
        catalog=Catalog(client("dynamodb"), tables["images"]),
        sqs=client("sqs"),
        queue_url=queues[FUNCTION].url,
        originals_bucket=buckets["originals"],
        recipes=recipes,
        selection=selection,
        state_folder=state_folder() / "redevelopments",
    )
