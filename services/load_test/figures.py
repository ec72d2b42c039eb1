"""The figures of a run: throughput, latencies, durations, memory, cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.load_test.memory import Growth, growth
from services.load_test.runner import Run
from services.load_test.worker_log import Invocation, upload_of

MIB_PER_GIB = 1024
PHOTOS_PRICED = 1_000_000
# A run with fewer invocations for each cold start says nothing of the cold starts of a million
# photos: on Lambda an environment serves thousands.
INVOCATIONS_PER_COLD_START = 100
# US dollars, us-east-1: https://aws.amazon.com/lambda/pricing/
DOLLARS_PER_REQUEST = 0.20 / 1_000_000


class Architecture(StrEnum):
    X86 = "x86_64"
    ARM = "arm64"


DOLLARS_PER_GIB_SECOND = {Architecture.X86: 0.0000166667, Architecture.ARM: 0.0000133334}


@dataclass(frozen=True)
class Spread:
    """How values are spread, in their own unit."""

    count: int
    p50: float
    p90: float
    p99: float
    maximum: float


@dataclass(frozen=True)
class FunctionFigures:
    """One function's invocations: durations in milliseconds, initialisation of cold ones apart.
    `failed` did not succeed; those that were killed left no report. `billed_ms` and `dollars`
    leave out the initialisation if `cold_starts_left_out`."""

    function: str
    invocations: int
    failed: int
    duration_ms: Spread
    init_ms: Spread | None
    billed_ms: int
    memory_mib: int
    dollars: dict[Architecture, float]
    cold_starts_left_out: bool


@dataclass(frozen=True)
class WorkerFigures:
    """One function's invocations in one worker and its replacements. `kills` counts those of the
    worker, which may run other functions too."""

    worker: str
    function: str
    invocations: int
    kills: int
    peak_mib: int
    memory_mib: int


@dataclass(frozen=True)
class Figures:
    """Everything that the report shows. Times in seconds; dollars for a million photos.

    `waiting` has the latencies of each owner, where there are two. `behind` is how late the
    generator was at worst; `by_log` says how many latencies come from the handlers' logs, the
    others being as late as a look at the catalogue.
    """

    seconds: float
    upload_rate: float
    throughput: float
    behind: float
    latency: Spread | None
    waiting: dict[str, Spread]
    by_log: int
    functions: tuple[FunctionFigures, ...]
    workers: tuple[WorkerFigures, ...]
    redeliveries: int
    repetitions: int
    dollars: dict[Architecture, float]
    requests: float
    memory: tuple[Growth, ...] = ()

    @property
    def cold_starts_left_out(self) -> tuple[str, ...]:
        """The functions whose price leaves out the initialisation of cold starts."""
        return tuple(f.function for f in self.functions if f.cold_starts_left_out)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values`, sorted, that `share` (0..1) of them do not exceed.

    Raises ValueError for no values.
    """
    if not values:
        raise ValueError("expected at least one value, got none")
    return values[max(0, math.ceil(share * len(values)) - 1)]


def spread(values: Iterable[float]) -> Spread | None:
    """The spread of `values`; None for none."""
    ordered = sorted(values)
    if not ordered:
        return None
    p50, p90, p99 = (percentile(ordered, share) for share in (0.5, 0.9, 0.99))
    return Spread(len(ordered), p50, p90, p99, ordered[-1])


def dollars(requests: int, billed_ms: int, memory_mib: int, architecture: Architecture) -> float:
    """What Lambda bills for so many requests that took `billed_ms` together."""
    gib_seconds = billed_ms / 1000 * memory_mib / MIB_PER_GIB
    return gib_seconds * DOLLARS_PER_GIB_SECOND[architecture] + requests * DOLLARS_PER_REQUEST


def settled_at(run: Run) -> dict[str, float]:
    """When each photo was settled: by the handlers' logs, else as the catalogue was seen."""
    return {key: run.logs.settled.get(upload_of(key), seen) for key, seen in run.seen.items()}


def latencies(run: Run) -> dict[str, float]:
    """Seconds from the end of each upload until the photo was settled."""
    ended = {u.key: u.ended for u in run.uploads if u.problem is None}
    # The event leaves before the uploader has its answer: a quick worker may be first.
    return {k: max(0.0, at - ended[k]) for k, at in settled_at(run).items() if k in ended}


def figures(run: Run) -> Figures:
    """The figures of `run`. They can be taken of a run that went wrong, too."""
    functions = tuple(
        _function(group.function, [i for i in run.logs.invocations if i.function == group.function])
        for group in run.worker_groups
        if any(i.function == group.function for i in run.logs.invocations)
    )
    arrived = [upload for upload in run.uploads if upload.problem is None]
    settled = settled_at(run)
    begin = min((u.began for u in arrived), default=run.began)
    end = max(settled.values(), default=begin)
    last = max((u.ended for u in arrived), default=begin)
    photos = max(1, len(settled))
    waits = latencies(run)
    return Figures(
        seconds=end - begin,
        upload_rate=len(arrived) / (last - begin) if last > begin else 0.0,
        throughput=len(settled) / (end - begin) if end > begin else 0.0,
        behind=max((u.began - u.due for u in run.uploads), default=0.0),
        latency=spread(waits.values()),
        waiting=_waiting(run, waits) if run.plan.other_owner else {},
        by_log=sum(upload_of(key) in run.logs.settled for key in settled),
        functions=functions,
        workers=_workers(run),
        redeliveries=run.logs.redeliveries,
        repetitions=run.logs.repetitions,
        dollars={
            a: sum(f.dollars[a] for f in functions) / photos * PHOTOS_PRICED for a in Architecture
        },
        requests=sum(f.invocations for f in functions) / photos * PHOTOS_PRICED,
        memory=growth(run),
    )


def _waiting(run: Run, waits: Mapping[str, float]) -> dict[str, Spread]:
    """The latencies of each owner's photos."""
    found = {
        owner: spread(s for key, s in waits.items() if key.startswith(f"{owner}/"))
        for owner in run.plan.owners
    }
    return {owner: own for owner, own in found.items() if own is not None}


def _function(name: str, invocations: Sequence[Invocation]) -> FunctionFigures:
    durations = spread(i.duration_ms for i in invocations)
    if durations is None:
        raise ValueError(f"expected invocations of {name}, got none")
    cold = sum(i.cold for i in invocations)
    left_out = 0 < len(invocations) < cold * INVOCATIONS_PER_COLD_START
    billed = sum(math.ceil(i.duration_ms) if left_out else i.billed_ms for i in invocations)
    memory = invocations[0].memory_mib
    return FunctionFigures(
        function=name,
        invocations=len(invocations),
        failed=sum(i.outcome != "success" for i in invocations),
        duration_ms=durations,
        init_ms=spread(i.init_ms for i in invocations if i.init_ms is not None),
        billed_ms=billed,
        memory_mib=memory,
        dollars={a: dollars(len(invocations), billed, memory, a) for a in Architecture},
        cold_starts_left_out=left_out,
    )


def _workers(run: Run) -> tuple[WorkerFigures, ...]:
    found = []
    for worker, function in sorted({(i.worker, i.function) for i in run.logs.invocations}):
        own = [i for i in run.logs.invocations if (i.worker, i.function) == (worker, function)]
        found.append(
            WorkerFigures(
                worker=worker,
                function=function,
                invocations=len(own),
                kills=sum(kill.worker == worker for kill in run.kills),
                peak_mib=max(i.peak_mib for i in own),
                memory_mib=own[0].memory_mib,
            )
        )
    return tuple(found)
