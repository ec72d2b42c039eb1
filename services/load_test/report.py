"""Writes a run's report: one HTML page that needs nothing else, and the same figures as JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.load_test import plots
from services.load_test.figures import (
    INVOCATIONS_PER_COLD_START,
    Architecture,
    Figures,
    Spread,
    latencies,
    settled_at,
)
from services.load_test.memory import worker_memory
from services.load_test.plots import Axes, Bars, Series
from services.load_test.runner import Run
from services.load_test.summary import ledger, remarks, verdict
from services.load_test.target import TargetKind

_POINTS = 1_000
_COLUMNS = 60
_BEYOND_P99 = 1.25
Timed = Callable[[str], Axes]
_STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True)
class _Meter:
    """A cell with a bar: its text and the bar's share, such as "37.5%"."""

    text: str
    share: str


@dataclass(frozen=True)
class _Table:
    """A table. `numbers` are the columns that hold numbers."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str | _Meter]]
    numbers: Sequence[int] = ()


@dataclass(frozen=True)
class _Plot:
    caption: str
    svg: str


@dataclass(frozen=True)
class _Section:
    title: str
    text: str = ""
    table: _Table | None = None
    plots: Sequence[_Plot] = ()


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
            "faults_after": run.plan.faults_after,
            "other_owner": run.plan.other_owner,
            "photos": str(run.plan.photos) if run.plan.photos is not None else None,
        },
        "crews": [dataclasses.asdict(group) for group in run.worker_groups],
        "books": dataclasses.asdict(run.reconciliation),
        "in_doubt": [dataclasses.asdict(email) for email in run.unconfirmed_emails],
        "figures": dataclasses.asdict(figures),
        "uploaded_seconds": {
            u.key: round(u.ended - run.began, 3) for u in run.uploads if u.problem is None
        },
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
    environment = Environment(
        loader=PackageLoader("services.load_test", "."), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("report.html.jinja")
    return template.render(
        style=_STYLE.read_text(encoding="utf-8"),
        run_id=run.plan.run_id,
        began=f"{_moment(run.began):%d %B %Y, %H:%M}",
        verdict=verdict(run),
        balanced=run.reconciliation.balanced,
        summary=_summary(run),
        tiles=_tiles(run, figures),
        wrong=_Table(
            ("", "which", "what was found"),
            [[d.fault.value, d.subject, d.detail] for d in run.reconciliation.discrepancies],
        ),
        sections=[*_sections(run, figures)],
        remarks=[*remarks(run, figures)],
    )


def _summary(run: Run) -> str:
    where = (
        "in containers, on LocalStack"
        if run.kind is TargetKind.CONTAINERS
        else "on an embedded lab"
    )
    groups = ", ".join(
        f"{group.count} × {group.function}"
        + (f" ({group.cpus:.2f} vCPU, {group.memory_mib} MiB)" if group.cpus is not None else "")
        for group in run.worker_groups
    )
    faults = (
        f"{len(run.kills)} workers were killed, at most one every {run.plan.kill_every_seconds:g} s"
        + (f", once {run.plan.faults_after} photos were settled." if run.plan.faults_after else ".")
        if run.plan.faults
        else "No faults were made."
    )
    others = (
        f", and {run.plan.other_owner} of a second owner, one at a time"
        if run.plan.other_owner
        else ""
    )
    return (
        f"{run.plan.count} photos at {run.plan.rate:g} a second{others}, {where}: {groups}. "
        f"{faults}"
    )


def _tiles(run: Run, figures: Figures) -> list[tuple[str, str]]:
    latency = figures.latency
    without = ", without cold starts" if figures.cold_starts_left_out else ""
    tiles = [
        (f"{figures.throughput:.1f}", "photos a second, settled"),
        (f"{latency.p50:.2f} s" if latency else "–", "upload to catalogue, median"),
        (f"{latency.p99:.2f} s" if latency else "–", "upload to catalogue, p99"),
        (f"${figures.dollars[Architecture.X86]:,.2f}", f"a million photos, x86_64{without}"),
        (f"${figures.dollars[Architecture.ARM]:,.2f}", f"a million photos, arm64{without}"),
    ]
    if run.plan.faults:
        tiles.insert(1, (f"{len(run.kills)}", "workers killed"))
    return tiles


def _sections(run: Run, figures: Figures) -> Iterator[_Section]:
    timed = _timed(run)
    settled = [at - run.began for at in settled_at(run).values()]
    sent = [u.ended - run.began for u in run.uploads if u.problem is None]
    rows = [list(line) for line in ledger(run, figures)]
    yield _Section("Reconciliation", table=_Table((), rows, numbers=(1,)))
    uploaded_and_settled = plots.lines(
        timed("photos"),
        [
            Series("uploaded", "s2", plots.thinned(plots.cumulative(sent), _POINTS)),
            Series("settled", "s1", plots.thinned(plots.cumulative(settled), _POINTS)),
        ],
        "photos uploaded and settled over time",
    )
    yield _Section(
        "Photos uploaded and settled",
        "The distance between the lines, across, is how long a photo waits.",
        plots=[_Plot("", uploaded_and_settled)],
    )
    step = plots.nice(max(settled, default=0.0) / _COLUMNS)
    rates = plots.bars(
        timed("photos a second"),
        Bars("s1", step, _rates(settled, step)),
        "photos settled a second over time",
    )
    yield _Section(
        "Throughput",
        f"Photos settled, in steps of {step:g} s; {figures.throughput:.2f} a second on average.",
        plots=[_Plot("", rates)],
    )
    if figures.latency is not None:
        yield _latency(run, figures.latency, figures.waiting, timed)
    yield _Section(
        "Queues", plots=[_queue(run, group.function, timed) for group in run.worker_groups]
    )
    yield _durations(run, figures)
    yield _workers(figures)
    if figures.memory:
        yield _memory(run, figures)
    yield _cost(figures)


def _timed(run: Run) -> Timed:
    """Axes of a plot over the run's time, with the kills marked."""
    kills = [kill.at - run.began for kill in run.kills]
    end = run.samples[-1].at - run.began if run.samples else 0.0

    def axes(y: str) -> Axes:
        return Axes("seconds since the run began", y, kills, "worker killed", x_end=end)

    return axes


def _latency(run: Run, spread: Spread, waiting: Mapping[str, Spread], timed: Timed) -> _Section:
    ended = {u.key: u.ended - run.began for u in run.uploads}
    found = latencies(run)
    step, counts, beyond = _histogram(list(found.values()), spread)
    rules = [
        (spread.p50, f"p50 {spread.p50:.2f} s"),
        (spread.p90, f"p90 {spread.p90:.2f} s"),
        (spread.p99, f"p99 {spread.p99:.2f} s"),
    ]
    distribution = plots.bars(
        Axes("seconds from upload to catalogue", "photos", rules=rules),
        Bars("s1", step, counts),
        "distribution of latencies",
    )
    series = [
        Series(
            "one photo, by the time of its upload" + (f", of {owner}" if waiting else ""),
            style,
            [(ended[key], s) for key, s in found.items() if key.startswith(f"{owner}/")],
            dots=True,
        )
        for owner, style in zip(run.plan.owners, ("s1", "s2"), strict=False)
    ]
    over_time = plots.lines(
        timed("seconds"),
        series,
        "latency of each photo over time",
    )
    return _Section(
        "From upload to catalogue",
        table=_Table(
            ("seconds", "p50", "p90", "p99", "max"),
            [
                ["all", *_percentiles(spread, 2)],
                *([owner, *_percentiles(own, 2)] for owner, own in waiting.items()),
            ],
            numbers=range(1, 5),
        ),
        plots=[
            _Plot("Distribution" + _beyond(beyond), distribution),
            _Plot("Over time", over_time),
        ],
    )


def _queue(run: Run, function: str, timed: Timed) -> _Plot:
    moments = [(s.at - run.began, s.depths[function]) for s in run.samples if function in s.depths]
    drawn = plots.lines(
        timed("messages"),
        [
            Series("waiting", "s1", [(at, d.waiting) for at, d in moments], filled=True),
            Series("in flight", "s3", [(at, d.in_flight) for at, d in moments]),
        ],
        f"messages in the queue of {function} over time",
    )
    return _Plot(function, drawn)


def _durations(run: Run, figures: Figures) -> _Section:
    rows, drawn = [], []
    for item in figures.functions:
        rows.append(
            [
                item.function,
                f"{item.invocations:,}",
                f"{item.failed:,}",
                *_percentiles(item.duration_ms, 0),
                str(item.init_ms.count) if item.init_ms else "0",
                f"{item.init_ms.p50:,.0f}" if item.init_ms else "–",
            ]
        )
        durations = [i.duration_ms for i in run.logs.invocations if i.function == item.function]
        step, counts, beyond = _histogram(durations, item.duration_ms)
        distribution = plots.bars(
            Axes("milliseconds of an invocation", "invocations"),
            Bars("s1", step, counts),
            f"distribution of durations of {item.function}",
        )
        drawn.append(_Plot(item.function + _beyond(beyond), distribution))
    heads = (
        "function", "invocations", "failed", "p50 ms", "p90 ms", "p99 ms", "max ms",
        "cold starts", "init p50 ms",
    )  # fmt: skip
    table = _Table(heads, rows, numbers=range(1, len(heads)))
    return _Section("Invocations", table=table, plots=drawn)


def _histogram(values: Sequence[float], spread: Spread) -> tuple[float, list[float], int]:
    """A column's width, the columns, and how many values lie beyond them: a single value after a
    stall would squeeze all others into one column."""
    end = spread.p99 * _BEYOND_P99
    step, counts = plots.histogram([value for value in values if value <= end])
    return step, counts, sum(value > end for value in values)


def _beyond(count: int) -> str:
    return f"; {count} longer than shown" if count else ""


def _workers(figures: Figures) -> _Section:
    rows: list[list[str | _Meter]] = [
        [
            item.worker,
            item.function,
            f"{item.invocations:,}",
            str(item.kills),
            _Meter(
                f"{item.peak_mib} of {item.memory_mib} MiB",
                f"{min(1.0, item.peak_mib / item.memory_mib):.1%}",
            ),
        ]
        for item in figures.workers
    ]
    heads = ("worker", "function", "invocations", "times killed", "peak memory of its function")
    return _Section("Workers", table=_Table(heads, rows, numbers=(2, 3, 4)))


def _memory(run: Run, figures: Figures) -> _Section:
    styles = itertools.cycle(("s1", "s2", "s3"))
    drawn = plots.lines(
        Axes("photos settled", "MiB"),
        [
            Series(name, next(styles), plots.thinned(points, _POINTS))
            for name, points in worker_memory(run).items()
        ],
        "resident memory of each worker over the photos",
    )
    return _Section(
        "Memory",
        "A line through the samples, without the first tenth of the photos and up to the first "
        "kill. Environments are measured at the end of each invocation.",
        table=_Table(
            ("memory of", "MiB at first", "MiB at last", "MiB a thousand photos"),
            [
                [
                    m.process,
                    f"{m.first_mib:.0f}",
                    f"{m.last_mib:.0f}",
                    f"{m.mib_per_thousand_photos:+.2f}",
                ]
                for m in figures.memory
            ],
            numbers=(1, 2, 3),
        ),
        plots=[_Plot("", drawn)],
    )


def _cost(figures: Figures) -> _Section:
    photos = figures.latency.count if figures.latency is not None else 1
    million = 1_000_000 / photos
    rows = [
        [
            item.function,
            f"{item.memory_mib:,}",
            f"{item.billed_ms / photos:,.0f}",
            f"{item.invocations * million:,.0f}",
            *(f"{item.dollars[a] * million:,.2f}" for a in Architecture),
        ]
        for item in figures.functions
    ]
    totals = [f"{figures.dollars[a]:,.2f}" for a in Architecture]
    rows.append(["total", "", "", f"{figures.requests:,.0f}", *totals])
    heads = (
        "function", "MiB", "billed ms a photo", "requests", *(f"$ {a.value}" for a in Architecture)
    )  # fmt: skip
    text = ""
    if figures.cold_starts_left_out:
        text = (
            "Without the initialisation of cold starts of "
            f"{', '.join(figures.cold_starts_left_out)}: this run has fewer than "
            f"{INVOCATIONS_PER_COLD_START} invocations for each, too few to tell how many cold "
            "starts a million photos have."
        )
    return _Section(
        "A million photos on Lambda",
        text,
        table=_Table(heads, rows, numbers=range(1, len(heads))),
    )


def _percentiles(spread: Spread, digits: int) -> list[str]:
    values = (spread.p50, spread.p90, spread.p99, spread.maximum)
    return [f"{value:,.{digits}f}" for value in values]


def _rates(moments: Sequence[float], step: float) -> list[float]:
    """How many of `moments` a second there are, in each step of time."""
    counts = [0.0] * (int(max(moments, default=0.0) / step) + 1)
    for moment in moments:
        counts[max(0, int(moment / step))] += 1 / step
    return counts


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()
