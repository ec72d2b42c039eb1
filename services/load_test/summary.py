"""A run in words and tables, for the terminal; and its verdict, for everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.load_test.figures import (
    DOLLARS_PER_GIB_SECOND,
    DOLLARS_PER_REQUEST,
    Architecture,
    Figures,
    Spread,
)
from services.load_test.memory import Growth
from services.load_test.plan import VISIBILITY_SECONDS
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


def remarks(run: Run, figures: Figures) -> Iterable[str]:
    """What a reader must know to read the figures rightly."""
    yield (
        "Every photo has content of its own. It counts as developed or rejected when the catalogue "
        "has exactly one record of it, from exactly its upload, with every rendition in its "
        "bucket; as notified when exactly one e-mail bears its event's id. Records, renditions and "
        "e-mails that belong to no photo would count as doubled."
    )
    yield (
        "The generator is an open loop: it does not wait for the lab. At worst it was "
        f"{figures.behind:.2f} s behind its timetable."
    )
    exact, seen = figures.by_log, figures.latency.count if figures.latency is not None else 0
    yield (
        "Latency runs from the end of the upload until the photo is settled in the catalogue and "
        f"announced; {exact} of {seen} by the time that the function logged, the others by a look "
        "at the catalogue every half second."
    )
    yield (
        "Cost is what Lambda would bill in us-east-1 for the measured invocations: "
        f"${DOLLARS_PER_GIB_SECOND[Architecture.X86]} a GB-second on x86_64, "
        f"${DOLLARS_PER_GIB_SECOND[Architecture.ARM]} on arm64, "
        f"${DOLLARS_PER_REQUEST * 1_000_000:.2f} a million requests; initialisation of cold starts "
        "is billed, where the run is long enough to tell how many there are. The milliseconds of "
        "arm64 are taken to be those measured here; storage, queues, "
        "tables and e-mail are not in it."
    )
    if run.plan.faults:
        yield (
            "Killed invocations leave no report line, so their milliseconds are in no figure. "
            f"Messages held by a killed worker become visible again after {VISIBILITY_SECONDS} s "
            "(default: 30 s)."
        )
        yield (
            "An e-mail whose sending was interrupted is unconfirmed: it becomes a dead letter "
            "and is not sent again. Afterwards the test does what an operator does: it checks "
            "whether the e-mail was sent, discards the dead letter if so, and replays it once "
            "if not."
        )
    yield from run.remarks


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
    if figures.memory:
        page.print()
        page.print(_memory(figures.memory))
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


def _memory(found: Sequence[Growth]) -> Table:
    heads = ("memory of", "at first", "at last", "growth a thousand photos")
    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for line in found:
        mib = (f"{value:.0f} MiB" for value in (line.first_mib, line.last_mib))
        table.add_row(line.process, *mib, f"{line.mib_per_thousand_photos:+.2f} MiB")
    return table


def _cells(spread: Spread, unit: str, digits: int) -> list[str]:
    values = (spread.p50, spread.p90, spread.p99, spread.maximum)
    return [*(f"{value:.{digits}f} {unit}" for value in values), str(spread.count)]
