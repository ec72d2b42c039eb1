"""Whether memory grows in a run: lines through its samples, up to the first kill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

from services.load_test.runner import Run

# Caches fill and pools grow while the first photos are developed: this share is left out.
WARM_UP = 0.1
# Fewer say nothing of a slope.
POINTS_MIN = 20

Point = tuple[float, float]


@dataclass(frozen=True)
class Growth:
    """The line through the memory of `process` over the photos that were settled: its ends, and its
    slope. Each worker is a process; the environments of a function are one line together."""

    process: str
    first_mib: float
    last_mib: float
    mib_per_thousand_photos: float


def growth(run: Run) -> tuple[Growth, ...]:
    """What can be told of this run: nothing of a process with fewer than POINTS_MIN samples."""
    series = worker_memory(run) | environment_memory(run)
    found = []
    for name, points in series.items():
        end = max((x for x, _ in points), default=0.0)
        counted = [point for point in points if point[0] >= WARM_UP * end]
        if len(counted) >= POINTS_MIN and counted[0][0] < counted[-1][0]:
            found.append(_line(name, counted))
    return tuple(found)


def worker_memory(run: Run) -> dict[str, list[Point]]:
    """Photos settled and MiB of each worker, at each sample before the first kill."""
    until = _first_kill(run)
    series: dict[str, list[Point]] = {}
    for sample in run.samples:
        if sample.at < until:
            for name, mib in sample.memory_mib.items():
                series.setdefault(name, []).append((float(sample.settled), mib))
    return series


def environment_memory(run: Run) -> dict[str, list[Point]]:
    """The number of each invocation and the peak MiB of its environment, by function."""
    until = _first_kill(run)
    series: dict[str, list[Point]] = {}
    for invocation in run.logs.invocations:
        if invocation.at < until:
            points = series.setdefault(f"environments of {invocation.function}", [])
            points.append((float(len(points)), float(invocation.peak_mib)))
    return series


def _first_kill(run: Run) -> float:
    return min((kill.at for kill in run.kills), default=math.inf)


def _line(name: str, points: Sequence[Point]) -> Growth:
    slope, intercept = linear_regression([x for x, _ in points], [y for _, y in points])
    first, last = (intercept + slope * points[place][0] for place in (0, -1))
    return Growth(name, first, last, slope * 1000)
