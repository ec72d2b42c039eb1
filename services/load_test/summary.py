"""A run in words and tables, for the terminal; and its verdict, for everywhere."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.load_test.figures import Architecture, Figures, Spread
from services.load_test.reconciliation import DOUBLED, LOST, Fault
from services.load_test.runner import Run
from services.load_test.unconfirmed_emails import Verdict

DISCREPANCIES_SHOWN = 20


def verdict(run: Run) -> str:
    """The one sentence that says how it went."""
    reconciliation = run.reconciliation
    photos = f"{reconciliation.uploaded} photo{'s' * (reconciliation.uploaded != 1)}"
    if reconciliation.balanced:
        return f"{photos}, nothing lost, nothing doubled."
    counts = {
        "lost": reconciliation.count(LOST),
        "doubled": reconciliation.count(DOUBLED),
        "not uploaded": reconciliation.count(frozenset({Fault.NOT_UPLOADED})),
    }
    counts["otherwise wrong"] = len(reconciliation.discrepancies) - sum(counts.values())
    parts = [f"{number} {word}" for word, number in counts.items() if number]
    return f"{photos}: {', '.join(parts)}."


def ledger(run: Run, figures: Figures) -> list[tuple[str, str]]:
    """The reconciliation, line by line."""
    reconciliation = run.reconciliation
    sent = sum(email.verdict is Verdict.SENT for email in run.unconfirmed_emails)
    lines = [
        ("uploaded", f"{reconciliation.uploaded}"),
        ("developed", f"{reconciliation.developed}"),
        ("rejected, with a reason", f"{reconciliation.rejected}"),
        ("notified by exactly one e-mail", f"{reconciliation.notified}"),
        ("lost", f"{reconciliation.count(LOST)}"),
        ("doubled", f"{reconciliation.count(DOUBLED)}"),
        ("workers killed", f"{len(run.kills)}"),
        ("messages delivered again", f"{figures.redeliveries}"),
        ("repeated messages that were recognised", f"{figures.repetitions}"),
    ]
    if run.plan.faults or run.unconfirmed_emails:
        lines += [
            ("unconfirmed e-mails that were sent", f"{sent}"),
            (
                "unconfirmed e-mails that were not sent, replayed once",
                f"{len(run.unconfirmed_emails) - sent}",
            ),
        ]
    return lines


def show(run: Run, figures: Figures, page: Console) -> None:
    """Prints the summary."""
    colour = "green" if run.reconciliation.balanced else "red"
    page.print(f"\n[bold {colour}]{verdict(run)}[/]\n")
    totals = Table(box=None, pad_edge=False, show_header=False)
    totals.add_column()
    totals.add_column(justify="right")
    for name, value in ledger(run, figures):
        totals.add_row(name, value)
    page.print(totals)
    page.print(
        f"\n{figures.throughput:.1f} photos a second ({figures.upload_rate:.1f} uploaded) over "
        f"{figures.seconds:.0f} s"
    )
    times = Table(
        "", "p50", "p90", "p99", "max", "count", box=None, pad_edge=False, header_style="bold"
    )
    for column in times.columns[1:]:
        column.justify = "right"
    if figures.latency is not None:
        times.add_row("upload to catalogue", *_cells(figures.latency, "s", 2))
    for owner, waited in figures.waiting.items():
        times.add_row(f"  of {owner}", *_cells(waited, "s", 2))
    for function in figures.functions:
        times.add_row(f"{function.function}", *_cells(function.duration_ms, "ms", 0))
        if function.init_ms is not None:
            times.add_row("  its cold starts", *_cells(function.init_ms, "ms", 0))
    page.print(times)
    workers = Table(
        "worker", "function", "invocations", "killed", "peak memory", box=None, pad_edge=False,
        header_style="bold",
    )  # fmt: skip
    for worker in figures.workers:
        workers.add_row(
            worker.worker,
            worker.function,
            f"{worker.invocations}",
            f"{worker.kills}",
            f"{worker.peak_mib} of {worker.memory_mib} MiB",
        )
    page.print()
    page.print(workers)
    page.print(
        "\nA million photos on Lambda: "
        + ", ".join(f"${figures.dollars[a]:,.2f} on {a.value}" for a in Architecture)
        + (
            " (without cold starts: the run is too short to tell how many there are)"
            if figures.cold_starts_left_out
            else ""
        )
    )
    for number, found in enumerate(run.reconciliation.discrepancies):
        if number == DISCREPANCIES_SHOWN:
            page.print(
                f"... and {len(run.reconciliation.discrepancies) - number} more, in the report"
            )
            break
        page.print(
            f"[red]{found.fault.value}[/] {escape(found.subject)}: {escape(found.detail)}",
            soft_wrap=True,
        )


def _cells(spread: Spread, unit: str, digits: int) -> list[str]:
    values = (spread.p50, spread.p90, spread.p99, spread.maximum)
    return [*(f"{value:.{digits}f} {unit}" for value in values), str(spread.count)]
