"""The figures of each memory size, and which size to choose.

Lambda's price is memory times duration, and the CPU grows with the memory: more memory may cost
less. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.operations.cost.prices import Prices
from services.operations.cost.usage import Architecture
from services.platform.errors import PermanentError

MIB_PER_GIB = 1024
# Of the values at each end that the mean leaves out.
TRIMMED = 0.2
# Less free memory than this is too little for an event that is larger than those measured.
FREE_MEMORY = 0.2
# Among sizes that are this close to the quickest, speed chooses the cheapest.
AS_QUICK = 1.05


class Strategy(StrEnum):
    """What counts in the choice."""

    COST = "cost"
    SPEED = "speed"
    BALANCED = "balanced"


@dataclass(frozen=True)
class Sample:
    """The measurements of one memory size: milliseconds and MiB. `init_ms` has one value for each
    cold start, `cold_ms` the first invocations, `warm_ms` the others."""

    memory_mib: int
    init_ms: tuple[float, ...]
    cold_ms: tuple[float, ...]
    warm_ms: tuple[float, ...]
    peak_mib: float
    failures: int


@dataclass(frozen=True)
class Figures:
    """What a size costs. `dollars` is the price of a million warm invocations; `cold_ms` is the
    median of the initialization with the first invocation."""

    memory_mib: int
    warm_ms: float
    p95_ms: float
    cold_ms: float
    peak_mib: float
    dollars: float
    failures: int

    @property
    def enough(self) -> bool:
        """Whether every invocation succeeded and memory is left."""
        return not self.failures and self.peak_mib <= self.memory_mib * (1 - FREE_MEMORY)


@dataclass(frozen=True)
class Choice:
    """The size to take, and why."""

    figures: Figures
    reason: str


def figures(sample: Sample, prices: Prices, architecture: Architecture) -> Figures:
    """The figures of a size whose invocations took `sample`."""
    warm = trimmed_mean(sample.warm_ms)
    billed_seconds = math.ceil(warm) / 1000
    gib_seconds = billed_seconds * sample.memory_mib / MIB_PER_GIB
    second = prices.of(f"lambda_gib_second_{architecture.value}")
    cold = [init + first for init, first in zip(sample.init_ms, sample.cold_ms, strict=True)]
    return Figures(
        memory_mib=sample.memory_mib,
        warm_ms=warm,
        p95_ms=percentile(sample.warm_ms, 95),
        cold_ms=statistics.median(cold),
        peak_mib=sample.peak_mib,
        dollars=1e6 * (gib_seconds * second + prices.of("lambda_request")),
        failures=sample.failures,
    )


def trimmed_mean(values: Sequence[float]) -> float:
    """The mean without a fifth of the values at each end."""
    cut = int(len(values) * TRIMMED)
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def percentile(values: Sequence[float], percent: int) -> float:
    """By nearest rank."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def choose(sizes: Sequence[Figures], strategy: Strategy) -> Choice:
    """The size to take. Raises PermanentError when none is large enough."""
    fit = [size for size in sizes if size.enough]
    if not fit:
        raise PermanentError(
            "no memory size is enough: expected invocations that succeed with "
            f"{FREE_MEMORY:.0%} of the memory free; try larger sizes"
        )
    cheapest = min(fit, key=lambda size: (size.dollars, size.warm_ms))
    quickest = min(fit, key=lambda size: (size.warm_ms, size.dollars))
    if strategy is Strategy.COST:
        return Choice(
            cheapest, f"cheapest: USD {cheapest.dollars:.2f} a million, {cheapest.warm_ms:.0f} ms"
        )
    if strategy is Strategy.SPEED:
        near = [size for size in fit if size.warm_ms <= quickest.warm_ms * AS_QUICK]
        taken = min(near, key=lambda size: size.dollars)
        return Choice(
            taken,
            f"cheapest of those within {AS_QUICK - 1:.0%} of the quickest "
            f"({quickest.warm_ms:.0f} ms at {quickest.memory_mib} MiB)",
        )

    def weight(size: Figures) -> float:
        return size.dollars / cheapest.dollars + size.warm_ms / quickest.warm_ms

    taken = min(fit, key=weight)
    return Choice(
        taken,
        f"{taken.dollars / cheapest.dollars - 1:.0%} over the cheapest "
        f"({cheapest.memory_mib} MiB) and {taken.warm_ms / quickest.warm_ms - 1:.0%} over the "
        f"quickest ({quickest.memory_mib} MiB): the least sum",
    )
