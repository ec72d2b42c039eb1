"""`darkroom load-test`: its options, and one run from beginning to end."""

from __future__ import annotations

import errno
import secrets
import time
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from services.cli.options import PORT, ExitCode, number, whole_number
from services.imaging.recipes import STANDARD
from services.load_test.plan import KILL_EVERY_SECONDS
from services.local.state import PROJECT
from services.local.terminal import page, people
from services.operations.signals import terminated_like_interrupted
from services.platform.errors import TransientError

if TYPE_CHECKING:
    from services.load_test.plan import Plan
    from services.load_test.runner import Run, Sample
    from services.load_test.target import Target

FOLDER = PROJECT / ".darkroom" / "load"
DEFAULT_COUNT = 200
DEFAULT_RATE = 2.0
DEFAULT_WORKERS = 2
COUNT_MAX = 100_000
RATE_MAX = 1_000.0
KILL_EVERY_SECONDS_MAX = 3_600.0
WORKERS_MAX = 64


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("load-test")(load_test)


def load_test(
    embedded: Annotated[
        bool, typer.Option("--embedded", help="On an embedded lab, without Docker.")
    ] = False,
    photos: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Your photos instead of samples.")
    ] = None,
    count: Annotated[
        int,
        typer.Option(parser=whole_number(1, COUNT_MAX), metavar="N", help="Photos to upload."),
    ] = DEFAULT_COUNT,
    rate: Annotated[
        float,
        typer.Option(
            parser=number("photos a second", RATE_MAX), metavar="N", help="Photos a second."
        ),
    ] = DEFAULT_RATE,
    workers: Annotated[
        int,
        typer.Option(
            parser=whole_number(1, WORKERS_MAX), metavar="N", help="Workers that develop."
        ),
    ] = DEFAULT_WORKERS,
    faults: Annotated[
        bool, typer.Option("--faults", help="Kill a worker every few seconds.")
    ] = False,
    faults_after: Annotated[
        int,
        typer.Option(
            parser=whole_number(0, COUNT_MAX),
            metavar="N",
            help="With --faults: photos that are settled before the first kill.",
        ),
    ] = 0,
    kill_every: Annotated[
        float,
        typer.Option(
            parser=number("seconds", KILL_EVERY_SECONDS_MAX),
            metavar="SECONDS",
            help="With --faults: the pause between two kills.",
        ),
    ] = KILL_EVERY_SECONDS,
    port: Annotated[
        int | None,
        typer.Option(
            parser=PORT,
            metavar="PORT",
            help="The emulator's port on loopback; a free one by default.",
        ),
    ] = None,
    other_owner: Annotated[
        int,
        typer.Option(
            parser=whole_number(0, COUNT_MAX),
            metavar="N",
            help="Photos of a second owner, one every two seconds among the first one's.",
        ),
    ] = 0,
    recipe: Annotated[
        str,
        typer.Option(metavar="NAME", help="Recipe of all photos; see `darkroom recipes`."),
    ] = STANDARD,
) -> ExitCode:
    """Put photos through a lab at a given rate, and account for every one.

    Uploads photos at a given rate, without waiting for results; then waits until every photo is
    accounted for, and writes a report. Exit code 0: nothing lost, nothing doubled; 1: otherwise,
    or the lab failed; 2: wrong usage.
    """
    from services.load_test import report, summary
    from services.load_test.figures import figures
    from services.load_test.plan import Plan

    now = datetime.now().astimezone()
    run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"  # others may run at the same time
    plan = Plan(
        run_id=run_id,
        count=count,
        rate=rate,
        workers=workers,
        faults=faults,
        photos=photos,
        folder=FOLDER / run_id,
        recipe=recipe,
        other_owner=other_owner,
        faults_after=faults_after,
        kill_every_seconds=kill_every,
    )
    try:
        with terminated_like_interrupted():
            done = _perform(plan, embedded=embedded, port=port)
            shown = figures(done)
            summary.show(done, shown, page)
            written = report.write(done, shown, plan.folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise TransientError(
                f"the disk is full: remove what is old in {FOLDER}, or `docker system df`"
            ) from error
        raise TransientError(f"the load test cannot go on: {error}") from error
    finally:
        # A run that was ended early has left nothing to read, unless its lab did.
        with suppress(OSError):
            plan.folder.rmdir()
    page.print(f"\nThe report: [bold]{escape(str(_shown(written)))}[/]")
    return ExitCode.DONE if done.reconciliation.balanced else ExitCode.FAILED


def _perform(plan: Plan, *, embedded: bool, port: int | None) -> Run:
    from services.load_test.containers import ContainerTarget
    from services.load_test.embedded import EmbeddedTarget
    from services.load_test.photos import album_of, sample_album
    from services.load_test.runner import Runner

    with people.status("making sample photos") as status:

        def show(text: str) -> None:
            status.update(text)

        if plan.photos is not None:
            album = album_of(plan.photos, plan.run_id)
        else:
            FOLDER.mkdir(parents=True, exist_ok=True)
            album = sample_album(FOLDER / "samples", plan.run_id)
        plan.folder.mkdir(parents=True)
        show("starting the lab")
        opened: AbstractContextManager[Target] = (
            EmbeddedTarget.opened(plan, port)
            if embedded
            else ContainerTarget.opened(plan, port, show)
        )
        began = time.monotonic()

        def progress(sample: Sample, kills: int) -> None:
            left = sum(depth.total for depth in sample.depths.values())
            show(
                f"{time.monotonic() - began:.0f} s: {sample.uploaded} of {plan.total} uploaded, "
                f"{sample.settled} settled, {left} messages in the queues"
                + (f", {kills} workers killed" if plan.faults else "")
            )

        with opened as target:
            show("the first photos")
            return Runner(plan, target, album, progress).run()


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
