"""Writes a run's report: one HTML page that needs nothing else, and the same figures as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from services.load_test import plots
from services.load_test.figures import (
    DOLLARS_PER_GIB_SECOND,
    DOLLARS_PER_REQUEST,
    Architecture,
    Figures,
    Spread,
    latencies,
    settled_at,
)
from services.load_test.plan import KILL_EVERY_SECONDS, VISIBILITY_SECONDS
from services.load_test.plots import Axes, Bars, Series
from services.load_test.runner import Run
from services.load_test.summary import ledger, verdict
from services.load_test.target import TargetKind

_POINTS = 1_000
_COLUMNS = 60
_BEYOND_P99 = 1.25
Timed = Callable[[str], Axes]
_STYLE = Path(__file__).with_name("report.css")


def write(run: Run, figures: Figures, folder: Path) -> Path:
    """Writes report.html and report.json into `folder`; the path of the page. Raises OSError."""
    text = json.dumps(document(run, figures), indent=1, default=str)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page(run, figures), encoding="utf-8")
    return path


def document(run: Run, figures: Figures) -> dict[str, Any]:
    """The report for machines. Times of samples and kills are in seconds since the run began."""
    return {
        "run_id": run.plan.run_id,
        "verdict": verdict(run),
        "balanced": run.reconciliation.balanced,
        "began": _moment(run.began).isoformat(timespec="seconds"),
        "plan": {
            "stage": run.kind.value,
            "count": run.plan.count,
            "rate": run.plan.rate,
            "workers": run.plan.workers,
            "faults": run.plan.faults,
            "photos": str(run.plan.photos) if run.plan.photos is not None else None,
        },
        "crews": [dataclasses.asdict(group) for group in run.worker_groups],
        "books": dataclasses.asdict(run.reconciliation),
        "in_doubt": [dataclasses.asdict(email) for email in run.unconfirmed_emails],
        "figures": dataclasses.asdict(figures),
        "latency_seconds": {key: round(s, 3) for key, s in sorted(latencies(run).items())},
        "samples": [
            dataclasses.asdict(sample) | {"at": round(sample.at - run.began, 3)}
            for sample in run.samples
        ],
        "kills": [{"at": round(k.at - run.began, 3), "worker": k.worker} for k in run.kills],
        "remarks": list(remarks(run, figures)),
    }


def page(run: Run, figures: Figures) -> str:
    """The page."""
    began = _moment(run.began)
    where = (
        "in containers, on LocalStack"
        if run.kind is TargetKind.CONTAINERS
        else "on an embedded lab"
    )
    worker_groups = ", ".join(
        f"{group.count} × {group.function}"
        + (f" ({group.cpus:.2f} vCPU, {group.memory_mib} MiB)" if group.cpus is not None else "")
        for group in run.worker_groups
    )
    faults = (
        f"A worker was killed every {KILL_EVERY_SECONDS:g} seconds, {len(run.kills)} in all."
        if run.plan.faults
        else "No faults were made."
    )
    good = "good" if run.reconciliation.balanced else "bad"
    body = [
        f'<header><p class="over">Darkroom load test · {began:%d %B %Y, %H:%M}</p>',
        f'<h1 class="{good}">{_headline(run)}</h1>',
        f'<p class="lead">{run.plan.count} photos at {run.plan.rate:g} a second {where}: '
        f"{escape(worker_groups)}. {faults}</p></header>",
        _tiles(run, figures),
        _discrepancies(run),
        *_sections(run, figures),
        "<section><h2>How to read this</h2><ul>",
        *(f"<li>{escape(remark)}</li>" for remark in remarks(run, figures)),
        "</ul></section>",
    ]
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Load test {escape(run.plan.run_id)}: {escape(verdict(run))}</title>"
        f"<style>{style}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


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
        "is billed. The milliseconds of arm64 are taken to be those measured here; storage, "
        "queues, tables and e-mail are not in it."
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


def _tiles(run: Run, figures: Figures) -> str:
    latency = figures.latency
    tiles = [
        (f"{figures.throughput:.1f}", "photos a second, settled"),
        (f"{latency.p50:.2f} s" if latency else "–", "upload to catalogue, median"),
        (f"{latency.p99:.2f} s" if latency else "–", "upload to catalogue, p99"),
        (f"${figures.dollars[Architecture.X86]:,.2f}", "a million photos, x86_64"),
        (f"${figures.dollars[Architecture.ARM]:,.2f}", "a million photos, arm64"),
    ]
    if run.plan.faults:
        tiles.insert(1, (f"{len(run.kills)}", "workers killed"))
    inside = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name in tiles
    )
    return f'<div class="tiles">{inside}</div>'


def _discrepancies(run: Run) -> str:
    if run.reconciliation.balanced:
        return ""
    rows = [[d.fault.value, d.subject, d.detail] for d in run.reconciliation.discrepancies]
    return (
        f'<section class="alarm"><h2>What is wrong ({len(rows)})</h2>'
        f"{_table(['', 'which', 'what was found'], rows, numbers=())}</section>"
    )


def _sections(run: Run, figures: Figures) -> Iterable[str]:
    timed = _timed(run)
    settled = [at - run.began for at in settled_at(run).values()]
    sent = [u.ended - run.began for u in run.uploads if u.problem is None]

    yield "<section><h2>Reconciliation</h2>"
    yield _table(["", "photos"], [list(line) for line in ledger(run, figures)], head=False)
    yield "</section>"

    yield _figure(
        "Photos uploaded and settled",
        "The distance between the lines, across, is how long a photo waits.",
        plots.lines(
            timed("photos"),
            [
                Series("uploaded", "s2", plots.thinned(plots.cumulative(sent), _POINTS)),
                Series("settled", "s1", plots.thinned(plots.cumulative(settled), _POINTS)),
            ],
            "photos uploaded and settled over time",
        ),
    )
    step = plots.nice(max(settled, default=0.0) / _COLUMNS)
    yield _figure(
        "Throughput",
        f"Photos settled, in steps of {step:g} s; {figures.throughput:.2f} a second on average.",
        plots.bars(
            timed("photos a second"),
            [Bars("settled", "s1", 0.0, step, _rates(settled, step))],
            "photos settled a second over time",
        ),
    )
    yield _latency(run, figures, timed)
    yield _queues(run, timed)
    yield _durations(run, figures)
    yield _workers(figures)
    yield _cost(figures)


def _timed(run: Run) -> Timed:
    """Axes of a plot over the run's time, with the kills marked."""
    kills = [kill.at - run.began for kill in run.kills]
    end = run.samples[-1].at - run.began if run.samples else 0.0

    def axes(y: str) -> Axes:
        return Axes("seconds since the run began", y, kills, "worker killed", x_end=end)

    return axes


def _latency(run: Run, figures: Figures, timed: Timed) -> str:
    if figures.latency is None:
        return ""
    ended = {u.key: u.ended - run.began for u in run.uploads}
    found = latencies(run)
    spread = figures.latency
    step, counts, beyond = _histogram(list(found.values()), spread)
    caption = "Distribution" + _beyond(beyond)
    rules = [(spread.p50, f"p50 {spread.p50:.2f} s"), (spread.p90, f"p90 {spread.p90:.2f} s"),
             (spread.p99, f"p99 {spread.p99:.2f} s")]  # fmt: skip
    over_time = plots.lines(
        timed("seconds"),
        [Series("one photo, by the time of its upload", "s1",
                [(ended[key], seconds) for key, seconds in found.items()], dots=True)],
        "latency of each photo over time",
    )  # fmt: skip
    spread_out = plots.bars(
        Axes("seconds from upload to catalogue", "photos", rules=rules),
        [Bars("", "s1", 0.0, step, counts)],
        "distribution of latencies",
    )
    table = _table(["", "p50", "p90", "p99", "max"], [_spread_row("seconds", spread, 2)])
    return (
        "<section><h2>From upload to catalogue</h2>"
        f"{table}<figure><figcaption>{caption}</figcaption>{spread_out}</figure>"
        f"<figure><figcaption>Over time</figcaption>{over_time}</figure></section>"
    )


def _queues(run: Run, timed: Timed) -> str:
    drawn = []
    for group in run.worker_groups:
        moments = [
            (s.at - run.began, s.depths[group.function]) for s in run.samples
            if group.function in s.depths
        ]  # fmt: skip
        drawn.append(
            f"<figure><figcaption>{escape(group.function)}</figcaption>"
            + plots.lines(
                timed("messages"),
                [
                    Series("waiting", "s1", [(at, d.waiting) for at, d in moments], filled=True),
                    Series("in flight", "s3", [(at, d.in_flight) for at, d in moments]),
                ],
                f"messages in the queue of {group.function} over time",
            )
            + "</figure>"
        )
    return f"<section><h2>Queues</h2>{''.join(drawn)}</section>"


def _durations(run: Run, figures: Figures) -> str:
    rows, drawn = [], []
    for item in figures.functions:
        rows.append(
            [
                item.function,
                f"{item.invocations:,}",
                f"{item.failed:,}",
                *_spread_row("", item.duration_ms, 0)[1:],
                str(item.init_ms.count) if item.init_ms else "0",
                f"{item.init_ms.p50:,.0f}" if item.init_ms else "–",
            ]
        )
        durations = [
            i.duration_ms for i in run.logs.invocations if i.function == item.function
        ]  # fmt: skip
        step, counts, beyond = _histogram(durations, item.duration_ms)
        caption = escape(item.function) + _beyond(beyond)
        drawn.append(
            f"<figure><figcaption>{caption}</figcaption>"
            + plots.bars(
                Axes("milliseconds of an invocation", "invocations"),
                [Bars("", "s1", 0.0, step, counts)],
                f"distribution of durations of {item.function}",
            )
            + "</figure>"
        )
    heads = ["function", "invocations", "failed", "p50 ms", "p90 ms", "p99 ms", "max ms",
             "cold starts", "init p50 ms"]  # fmt: skip
    return f"<section><h2>Invocations</h2>{_table(heads, rows)}{''.join(drawn)}</section>"


def _histogram(values: Sequence[float], spread: Spread) -> tuple[float, list[float], int]:
    """A column's width, the columns, and how many values lie beyond them: one that met a stall
    would squeeze all others into one column."""
    end = spread.p99 * _BEYOND_P99
    step, counts = plots.histogram([value for value in values if value <= end])
    return step, counts, sum(value > end for value in values)


def _beyond(count: int) -> str:
    return f"; {count} longer than shown" if count else ""


def _workers(figures: Figures) -> str:
    rows = []
    for item in figures.workers:
        share = min(1.0, item.peak_mib / item.memory_mib)
        meter = (
            f"{item.peak_mib} of {item.memory_mib} MiB "
            f'<span class="meter"><i style="width:{share:.1%}"></i></span>'
        )
        rows.append(
            [item.worker, item.function, f"{item.invocations:,}", str(item.kills), _Html(meter)]
        )
    heads = ["worker", "function", "invocations", "times killed", "peak memory of its function"]
    return f"<section><h2>Workers</h2>{_table(heads, rows, numbers=(2, 3, 4))}</section>"


def _cost(figures: Figures) -> str:
    rows = []
    photos = figures.latency.count if figures.latency is not None else 1
    for item in figures.functions:
        million = 1_000_000 / photos
        rows.append(
            [
                item.function,
                f"{item.memory_mib:,}",
                f"{item.billed_ms / photos:,.0f}",
                f"{item.invocations * million:,.0f}",
                *(f"{item.dollars[a] * million:,.2f}" for a in Architecture),
            ]
        )
    rows.append(
        ["in all", "", "", f"{figures.requests:,.0f}",
         *(f"{figures.dollars[a]:,.2f}" for a in Architecture)]
    )  # fmt: skip
    heads = ["function", "MiB", "billed ms a photo", "requests",
             *(f"$ {a.value}" for a in Architecture)]  # fmt: skip
    return f"<section><h2>A million photos on Lambda</h2>{_table(heads, rows)}</section>"


def _headline(run: Run) -> str:
    """The verdict, broken between its parts only."""
    parts = verdict(run).split(", ")
    return ", ".join(escape(part).replace(" ", "&nbsp;") for part in parts)


class _Html(str):
    """A cell that is HTML already."""


def _table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    head: bool = True,
    numbers: Sequence[int] | None = None,
) -> str:
    """A table; all columns but the first hold numbers by default."""
    right = range(1, len(heads)) if numbers is None else numbers

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in right else ''}>"
            f"{value if isinstance(value, _Html) else escape(value)}</{tag}>"
            for i, value in enumerate(values)
        )

    top = f"<thead><tr>{cells('th', heads)}</tr></thead>" if head else ""
    inside = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>{inside}</tbody></table></div>'


def _figure(title: str, text: str, drawn: str) -> str:
    return (
        f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p><figure>{drawn}</figure></section>"
    )


def _spread_row(name: str, spread: Spread, digits: int) -> list[str]:
    values = (spread.p50, spread.p90, spread.p99, spread.maximum)
    return [name, *(f"{value:,.{digits}f}" for value in values)]


def _rates(moments: Sequence[float], step: float) -> list[float]:
    """How many of `moments` a second there are, in each step of time."""
    counts = [0.0] * (int(max(moments, default=0.0) / step) + 1)
    for moment in moments:
        counts[max(0, int(moment / step))] += 1 / step
    return counts


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()
