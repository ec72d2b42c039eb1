"""A lab's report for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.local.status import FunctionReport, LabReport, QueueDepth
from services.local.terminal import shown_path


def render(report: LabReport) -> RenderableType:
    """The report as tables; problems first."""
    parts: list[RenderableType] = []
    if report.problems:
        parts.append(Text.from_markup("[bold red]Problems[/]"))
        parts += [Text(f"  {problem}") for problem in report.problems]
    else:
        parts.append(Text.from_markup("[bold green]Healthy[/]"))
    parts += [Text(), _addresses(report), Text(), _processes(report), Text(), _functions(report)]
    return Group(*parts)


def _addresses(report: LabReport) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("AWS endpoint", report.endpoint),
        ("API", report.api or "none in this lab"),
        ("e-mails", shown_path(report.mail_folder)),
        ("database", report.database or "none in this lab"),
        ("Postgres data", report.database_folder and shown_path(report.database_folder)),
        ("Postgres programs", report.database_programs and shown_path(report.database_programs)),
        ("features", ", ".join(report.features)),
        ("data", report.data),
        ("started", report.started_at),
        *((f"metrics of {name}", url) for name, url in report.metrics.items()),
    ):
        if value:
            table.add_row(name, Text(value, overflow="fold"))
    return table


def _processes(report: LabReport) -> Table:
    table = Table("process", "id", "restarts", "log", box=None, pad_edge=False)
    for process in report.processes:
        table.add_row(
            process.name,
            str(process.pid) if process.running else "[red]restarting[/]",
            str(process.restarts),
            Text(shown_path(process.log), overflow="fold"),
        )
    return table


def _functions(report: LabReport) -> Table:
    """One line a function that did something, or has messages, or has a queue."""
    table = Table(box=None, pad_edge=False)
    table.add_column("function", no_wrap=True)
    for name in ("runs", "failed", "envs", "waiting", "oldest", "in flight", "dead"):
        table.add_column(name, justify="right", no_wrap=True)
    depths = report.queues or {}
    for name in sorted({*depths, *report.functions}):
        item, depth = report.functions.get(name, FunctionReport()), depths.get(name)
        if depth is None and not item.invocations and not item.init_failures:
            continue
        failed = item.failures + item.init_failures
        table.add_row(
            name,
            str(item.invocations),
            f"[red]{failed}[/]" if failed else "0",
            str(item.environments),
            *_depth(depth),
        )
        if item.last_error:
            table.add_row(Text(f"  {escape(item.last_error)}", style="red", overflow="ellipsis"))
    return table


def _depth(depth: QueueDepth | None) -> tuple[str, str, str, str]:
    if depth is None:
        return ("", "", "", "")
    oldest = "" if depth.oldest_seconds is None else f"{depth.oldest_seconds:.0f} s"
    dead = f"[red]{depth.dead_letters}[/]" if depth.dead_letters else "0"
    return (str(depth.waiting), oldest, str(depth.in_flight), dead)
