"""`darkroom up`, `down`, `reset`, `status`, `logs`, `develop` and `demo`: the embedded lab."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from services.cli import lab_status, log_lines
from services.cli.options import PORT, ExitCode, Json, RecipeName, whole_number, writable_folder
from services.cli.output import print_json
from services.imaging.recipes import STANDARD
from services.local import develop as developing
from services.local import lab, logs, start_check, status
from services.local.develop import UploadOptions
from services.local.options import LabOptions, default_concurrency
from services.local.state import DEFAULT_ROOT, LabFiles, LabState
from services.local.terminal import develop_with_progress, page, people, show_outcomes, shown_path
from services.platform.manifest import Feature

WATCH_SECONDS = 2


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command()(up)
    app.command()(down)
    app.command()(reset)
    app.command("status")(show_status)
    app.command("logs")(show_logs)
    app.command()(develop)
    app.command()(demo)


def up(
    port: Annotated[
        int | None,
        typer.Option(
            parser=PORT,
            metavar="PORT",
            help="Port of the emulator; a free one by default.",
        ),
    ] = None,
    api_port: Annotated[
        int | None,
        typer.Option(
            parser=PORT,
            metavar="PORT",
            help="Port of the HTTP API; a free one by default.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(parser=whole_number(1), metavar="N", help="Worker hosts."),
    ] = 1,
    concurrency: Annotated[
        int | None,
        typer.Option(
            parser=whole_number(1),
            metavar="N",
            help="Execution environments of a CPU-heavy function; one a core by default.",
        ),
    ] = None,
    only: Annotated[
        Feature | None,
        typer.Option(help="Start this feature and what it needs; everything by default."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep photos, orders and e-mails when the lab ends.")
    ] = False,
    traces: Annotated[
        bool, typer.Option("--traces", help="Record traces, for `darkroom trace`.")
    ] = False,
    administrator_second_factor: Annotated[
        bool,
        typer.Option("--administrator-second-factor", help="Administrators need a second factor."),
    ] = False,
    cloud: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use the emulator that runs at URL, not one of its own."),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Let web pages of ORIGIN use the API, such as http://localhost:5173; repeatable.",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Recipe of uploads that choose none; see `darkroom recipes`."
        ),
    ] = STANDARD,
    samples: Annotated[
        bool,
        typer.Option(
            "--samples",
            help="Make a customer with sample photos and an order, and an administrator.",
        ),
    ] = False,
) -> ExitCode:
    """Start an embedded lab: emulator, mailbox and workers."""
    if samples and only is not None and only is not Feature.ORDERS:
        raise typer.BadParameter(f"--samples needs all features, got --only {only.value}")
    with people.status("starting the lab"):
        state = lab.up(
            options=LabOptions(
                port=port,
                api_port=api_port,
                workers=workers,
                concurrency=concurrency or default_concurrency(),
                features=(only,) if only else tuple(Feature),
                keep=keep,
                traces=traces,
                administrator_second_factor=administrator_second_factor,
                cloud=cloud,
                sites=tuple(site or ()),
                recipe=recipe,
            )
        )
    page.print(f"The lab is ready at [bold]{state.endpoint}[/] (an AWS endpoint).")
    if state.api:
        page.print(
            f"Its web page and API are at [bold]{state.api}[/]; {state.api}/openapi.json describes "
            "the API."
        )
    if samples:
        _make_samples(state)
    page.print("Develop photos with `darkroom develop PATH`; stop it with `darkroom down`.")
    return ExitCode.DONE


def _make_samples(state: LabState) -> None:
    from services.local.demo import sample_accounts

    with people.status("preparing the sample photos") as status:
        made = sample_accounts.create(state, status.update)
    page.print(
        f"Sign in at [bold]{state.api}[/] as {made.customer}, with {made.photos} photos and an "
        f"order on its way, or as the administrator {made.administrator}; the password of both is "
        f"[bold]{made.password}[/].",
        soft_wrap=True,
    )


def down() -> ExitCode:
    """Stop the embedded lab."""
    with people.status("stopping the lab"):
        stopped = lab.down()
    page.print("The lab is stopped." if stopped else "No lab was running.")
    return ExitCode.DONE


def reset() -> ExitCode:
    """Stop the lab and remove all that it kept."""
    with people.status("removing the lab's data"):
        removed = lab.reset()
    page.print("The lab is empty." if removed else "There was no lab.")
    return ExitCode.DONE


def show_logs(
    function: Annotated[
        str | None, typer.Argument(metavar="FUNCTION", help="Only this function or process.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="Only the last AGE, such as 90s, 10m or 2h.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> ExitCode:
    """Show the lab's logs, merged by time."""
    files = LabFiles(DEFAULT_ROOT)
    oldest = time.time() - log_lines.seconds(since) if since else 0.0
    for line in logs.read(files, since=oldest, function=function):
        log_lines.show(line, as_json=json)
    if follow:
        for line in logs.follow(files, function=function):
            log_lines.show(line, as_json=json)
    return ExitCode.DONE


def show_status(
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every two seconds.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Start every function once, to find those that cannot."),
    ] = False,
) -> ExitCode:
    """Show addresses, functions, queues, and what is wrong.

    Exit code 0: healthy; 1: problems, or no lab is running.
    """
    state = lab.running()
    failed = start_check.check_starts(state, LabFiles(DEFAULT_ROOT)) if check and state else {}
    while watch:
        page.clear()
        _print_status(failed, as_json=json)
        time.sleep(WATCH_SECONDS)
    return _print_status(failed, as_json=json)


def _print_status(failed_starts: Mapping[str, str], *, as_json: bool) -> ExitCode:
    state = lab.running()
    if state is None:
        last = LabFiles(DEFAULT_ROOT).read()
        message = f" The last one ended: {last.message}" if last and last.message else ""
        if as_json:
            document = {"status": last.status.value if last else "stopped"}
            print_json(document, indent=None)
        else:
            page.print(f"No lab is running; start one with `darkroom up`.{escape(message)}")
        return ExitCode.FAILED
    files = LabFiles(DEFAULT_ROOT)
    found = status.report(state, files).with_failed_starts(failed_starts)
    if as_json:
        print_json(found.document())
    else:
        page.print(lab_status.render(found))
    return ExitCode.FAILED if found.problems else ExitCode.DONE


def develop(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files or folders.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Download the renditions to DIR.")
    ] = None,
    keep_location: Annotated[
        bool, typer.Option("--keep-location", help="Keep GPS positions in the catalogue.")
    ] = False,
    recipe: RecipeName = None,
    json: Json = False,
) -> ExitCode:
    """Put photos through the lab.

    Uses the running lab, or starts one for the occasion. Exit code 0: all developed; 3: some were
    rejected; 1: the lab failed; 2: wrong usage.
    """
    photos = developing.find_photos(paths)
    if out is not None:
        writable_folder(out)
    written: dict[str, list[str]] = {}
    with people.status("starting a lab for the occasion") as starting, lab.temporary_lab() as state:
        starting.stop()
        outcomes = develop_with_progress(
            state, photos, UploadOptions(keep_location, developing.known_recipe(state, recipe))
        )
        if out is not None:
            for outcome in outcomes:
                if outcome.record is not None:
                    files = developing.download(state, outcome.record, out)
                    written[str(outcome.path)] = [str(path) for path in files]
    if json:
        documents = [
            outcome.document() | {"files": written.get(str(outcome.path), [])}
            for outcome in outcomes
        ]
        print_json(documents)
    else:
        show_outcomes(outcomes)
        for photo, renditions in written.items():
            page.print(f"\n{escape(shown_path(photo))}:")
            for rendition in renditions:
                page.print(f"  {escape(rendition)}", soft_wrap=True)
    return ExitCode.DONE if all(o.developed for o in outcomes) else ExitCode.SOME_REJECTED


def demo(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Your photos instead of samples.")
    ] = None,
) -> ExitCode:
    """Develop sample photos (or a folder of yours) and show everything."""
    from services.local.demo import run

    return ExitCode(run.run(folder))
