"""`darkroom tune`: the memory of a function, chosen by measurement."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from services.cli.options import ExitCode, Json, whole_number
from services.cli.output import print_json
from services.load_test.tuning.choice import Choice, Figures, Strategy, choose, figures
from services.load_test.tuning.measure import measure
from services.load_test.tuning.report import draw
from services.load_test.tuning.report import page as html_page
from services.local.state import PROJECT
from services.local.terminal import page, people, shown_path
from services.operations.cost.prices import read_prices
from services.operations.cost.usage import Architecture
from services.platform.errors import PermanentError
from services.platform.manifest import MEMORY_MIB_RANGE, load

SIZES = "512,1024,1769,2048,3008"
_MEMORY_LINE = re.compile(r"^memory_mib: \d+.*$", re.M)


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(tune)


def tune(
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="A folder in images/.")],
    memory: Annotated[
        str, typer.Option(metavar="MIB,...", help="The memory sizes to measure.")
    ] = SIZES,
    events: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Lambda events, one JSON object a line; process-image gets uploads by default.",
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(exists=True, metavar="PATH", help="Photos for process-image."),
    ] = None,
    cold: Annotated[
        int, typer.Option(parser=whole_number(1), metavar="N", help="Cold starts of each size.")
    ] = 3,
    warm: Annotated[
        int, typer.Option(parser=whole_number(1), metavar="N", help="Warm invocations of each.")
    ] = 20,
    strategy: Annotated[Strategy, typer.Option(help="What counts.")] = Strategy.BALANCED,
    architecture: Annotated[
        Architecture, typer.Option(help="Whose price counts.")
    ] = Architecture.ARM,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a chart and a page to FOLDER.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the recommended memory to function.yaml.")
    ] = False,
    json: Json = False,
) -> ExitCode:
    """Measure a function at several memory sizes, with Lambda's share of CPU, and recommend one.

    Needs the right to make a control group (root). Durations are of this machine's processor.
    """
    manifest = load(_folder(function))
    sizes = _sizes(memory)
    with people.status("measuring") as status:
        samples = measure(
            manifest,
            sizes,
            events,
            photos,
            cold=cold,
            warm=warm,
            progress=lambda size: status.update(f"measuring {function} at {size} MiB"),
        )
    prices = read_prices()
    found = [figures(sample, prices, architecture) for sample in samples]
    choice = choose(found, strategy)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        chart = out / f"{function}.png"
        draw(function, found, choice, chart)
        text = html_page(function, found, choice, chart)
        (out / f"{function}.html").write_text(text, encoding="utf-8")
    if json:
        print_json(
            {
                "function": function,
                "strategy": strategy.value,
                "memory_mib": choice.figures.memory_mib,
                "reason": choice.reason,
                "sizes": [asdict(one) | {"enough": one.enough} for one in found],
            }
        )
    else:
        _print(found, choice)
    if apply:
        file = manifest.folder / "function.yaml"
        apply_memory(file, choice.figures.memory_mib, strategy)
        people.print(f"{shown_path(str(file))} has {choice.figures.memory_mib} MiB now.")
    return ExitCode.DONE


def apply_memory(file: Path, memory_mib: int, strategy: Strategy) -> None:
    """Replaces the memory in a manifest, and its comment, which is that of another size."""
    line = f"memory_mib: {memory_mib} # by darkroom tune --strategy {strategy.value}"
    text, count = _MEMORY_LINE.subn(line, file.read_text(encoding="utf-8"))
    if count != 1:
        raise PermanentError(f"expected one line memory_mib in {file}, found {count}")
    file.write_text(text, encoding="utf-8")


def _folder(function: str) -> Path:
    folder = PROJECT / "images" / function
    if not (folder / "function.yaml").is_file():
        raise PermanentError(f"{function!r} is no function: expected a folder of images/")
    return folder


def _sizes(text: str) -> tuple[int, ...]:
    low, high = MEMORY_MIB_RANGE
    try:
        sizes = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        sizes = ()
    if not sizes or not all(low <= size <= high for size in sizes):
        raise PermanentError(
            f"--memory must be whole numbers {low}..{high} with commas between, got {text!r}"
        )
    return sizes


def _print(found: list[Figures], choice: Choice) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("MiB", "warm, ms", "p95, ms", "cold, ms", "peak, MiB", "USD a million", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for size in found:
        note = "chosen" if size is choice.figures else "" if size.enough else "too little"
        table.add_row(
            str(size.memory_mib),
            f"{size.warm_ms:.0f}",
            f"{size.p95_ms:.0f}",
            f"{size.cold_ms:.0f}",
            f"{size.peak_mib:.0f}",
            f"{size.dollars:.2f}",
            note,
        )
    page.print(table)
    page.print(f"{choice.figures.memory_mib} MiB: {choice.reason}.")
