"""Output for people: progress on stderr, results on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.local import develop
from services.local.develop import Outcome, UploadOptions
from services.local.state import LabState
from services.operations.console import SafeConsole

# A pipe has no width: nothing is cut or wrapped there.
PIPED_COLUMNS = 1000
# People read progress on stderr and tables on stdout; machines read stdout.
people = SafeConsole(stderr=True, highlight=False)
page = SafeConsole(highlight=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)
_WIDE_COLUMNS = 110
SHOWN_ID_CHARACTERS = 8


def develop_with_progress(
    state: LabState,
    photos: Sequence[Path],
    options: UploadOptions,
    settled: Callable[[Outcome], None] = lambda _outcome: None,
) -> list[Outcome]:
    """Develops `photos` with a progress bar; calls `settled` with each outcome when it is known.
    Returns the outcomes in the order of the photos."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rejected]}"),
    )
    outcomes = []
    with Progress(*columns, console=people) as progress:
        uploads = progress.add_task("uploaded ", total=len(photos), rejected="")
        developed = progress.add_task("developed", total=len(photos), rejected="")
        for outcome in develop.develop_all(
            state,
            photos,
            options,
            uploaded=lambda _upload: progress.advance(uploads),
        ):
            outcomes.append(outcome)
            rejected = sum(not o.developed for o in outcomes)
            progress.update(
                developed, advance=1, rejected=f"[yellow]{rejected} rejected[/]" if rejected else ""
            )
            settled(outcome)
    order = {path: number for number, path in enumerate(photos)}
    return sorted(outcomes, key=lambda outcome: order[outcome.path])


def show_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Prints the outcome of each photo as a table, then the reasons of rejections."""
    wide = page.width >= _WIDE_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = ("", "id", "photo", "format", "pixels", *(["camera"] if wide else []), "taken")
    for name in names:
        table.add_column(name, justify="right" if name == "pixels" else "left", no_wrap=True)
    table.add_column("seconds", justify="right")
    table.add_column("outcome", no_wrap=True)
    rejections = []
    for outcome in outcomes:
        shown = outcome.document()
        colour = shown["dominant_colour"]
        table.add_row(
            f"[{colour}]██[/]" if colour else "",
            shown_id(shown["image_id"] or ""),
            escape(outcome.name),
            shown["format"] or "",
            f"{shown['width']}×{shown['height']}" if shown["width"] else "",
            *([escape(shown["camera"] or "")] if wide else []),
            (shown["taken_at"] or "")[:10],
            f"{outcome.seconds:.2f}" if outcome.record else "",
            "[green]developed[/]"
            if outcome.developed
            else f"[yellow]{escape(str(shown['reason']))}[/]",
        )
        if not outcome.developed:
            rejections.append(f"[bold]{escape(outcome.name)}[/] {escape(shown['message'])}")
    page.print(table)
    if rejections:
        page.print("\n[yellow]Rejected:[/]")
        for line in rejections:
            page.print(f"  {line}")


def shown_id(identifier: str) -> str:
    """The id whole in a pipe, and its beginning in a terminal: commands take both."""
    return identifier[:SHOWN_ID_CHARACTERS] if page.is_terminal else identifier


def shown_path(path: Path | str) -> str:
    """`path` as a person would type it: relative to the current folder if it is below."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)
