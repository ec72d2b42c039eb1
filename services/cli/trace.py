"""`darkroom trace`: the story of a photo, an order or a request."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from services.cli import log_lines
from services.cli.options import ExitCode, Json
from services.cli.output import print_json
from services.local import logs
from services.local.state import DEFAULT_ROOT, LabFiles
from services.local.terminal import page
from services.monitoring import insights, spans
from services.monitoring.log_reading import read_lines
from services.monitoring.trace import COLUMNS, Line, Story, check_id, tell, waterfall
from services.operations import deployed
from services.platform.errors import PermanentError
from services.platform.otlp import trace_id


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(trace)


def trace(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Upload, image, order, request or message, or its beginning."
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Read log lines from FILE, or from standard input if it is `-`: "
            "`docker compose logs --no-color | darkroom trace ID --from -`.",
        ),
    ] = None,
    outputs: Annotated[
        Path | None,
        typer.Option(
            envvar=deployed.VARIABLE,
            metavar="FILE",
            help="For a lab on AWS, whose logs CloudWatch Logs Insights searches: the output of "
            "`terraform output -json`. The embedded lab by default.",
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="On AWS: search the last AGE, such as 10m or 2d.")
    ] = "1d",
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the trace as a picture (SVG) too."),
    ] = None,
    json: Json = False,
) -> ExitCode:
    """Show what all functions did for one photo, order or request, with a waterfall.

    In a lab that keeps traces (`darkroom up --traces`) also every step, call of AWS and SQL
    statement.
    """
    check_id(identifier)
    if source is not None:
        lines = _of_file(source)
    elif outputs is not None:
        lab = deployed.read(outputs)
        now = time.time()
        lines = insights.lines_about(
            lab.client("logs"), lab.log_groups, identifier, now - log_lines.seconds(since), now
        )
    else:
        lines = [
            Line(line.at, line.fields)
            for line in logs.read(LabFiles(DEFAULT_ROOT))
            if line.fields is not None
        ]
    story = tell(lines, identifier)
    traced = _traced(story) if source is None and outputs is None else ()
    if picture is not None:
        if not traced:
            raise PermanentError("there is no trace: start the lab by `darkroom up --traces`")
        picture.write_text(spans.picture(traced, identifier), encoding="utf-8")
    if json:
        print_json(story.document())
    else:
        page.out(waterfall(story), end="", highlight=False)
        if traced:
            page.out("\n" + spans.waterfall(traced, COLUMNS), end="", highlight=False)
    return ExitCode.DONE


def _traced(story: Story) -> tuple[spans.TracedSpan, ...]:
    file = LabFiles(DEFAULT_ROOT).traces
    if not file.is_file():
        return ()
    wanted = frozenset(trace_id(one) for one in story.correlation_ids)
    with file.open(encoding="utf-8") as exports:
        return spans.read(exports, wanted)


def _of_file(path: Path) -> list[Line]:
    if str(path) == "-":
        return read_lines(sys.stdin)
    if not path.is_file():
        raise PermanentError(f"{path} is not a file")
    with path.open(encoding="utf-8", errors="replace") as opened:
        return read_lines(opened)
