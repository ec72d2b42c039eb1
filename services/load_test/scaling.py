"""Simulates how Lambda drains an SQS queue: the oldest message first, on as many environments as
the event source mapping allows at that time.

The rules are those of standard queues:
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ramp:
    """How many invocations an event source mapping runs at once: `initial` at first, `per_minute`
    more each minute while messages wait, `maximum` at most."""

    initial: int = 5
    per_minute: float = 300.0
    maximum: int = 1250

    def allowed_at(self, environment: int) -> float:
        """Seconds after the first message at which environment number `environment` (from 0) may
        start."""
        if environment < self.initial:
            return 0.0
        return (environment - self.initial + 1) * 60.0 / self.per_minute


@dataclass(frozen=True)
class Durations:
    """Measured durations of warm invocations and of initialisations, in milliseconds."""

    warm_ms: Sequence[float]
    init_ms: Sequence[float]

    @property
    def mean_seconds(self) -> float:
        return math.fsum(self.warm_ms) / len(self.warm_ms) / 1000


@dataclass(frozen=True)
class Drained:
    """The result. Times in seconds since the first message; `billed_ms` rounds each invocation up,
    as Lambda does. `backlog` has pairs of time and waiting messages."""

    messages: int
    seconds: float
    mean_wait_seconds: float
    p99_wait_seconds: float
    peak_age_seconds: float
    environments: int
    billed_ms: int
    backlog: tuple[tuple[float, int], ...]


def simulate(arrivals: Sequence[float], ramp: Ramp, durations: Durations, seed: int) -> Drained:
    """Runs every message of `arrivals` (seconds, in order) once, on the environment that is free
    first. An environment's first invocation also takes its initialisation.

    Raises ValueError for no arrivals.
    """
    if not arrivals:
        raise ValueError("expected at least one arrival, got none")
    choose = random.Random(seed).choice  # noqa: S311
    free: list[float] = []
    started, billed_ms = 0, 0
    waits: list[float] = []
    starts: list[float] = []
    end = 0.0
    for arrival in arrivals:
        next_start = ramp.allowed_at(started) if started < ramp.maximum else math.inf
        earliest = max(arrival, free[0]) if free else math.inf
        if max(arrival, next_start) < earliest:
            at, ms = max(arrival, next_start), choose(durations.init_ms)
            started += 1
        else:
            at, ms = max(arrival, heapq.heappop(free)), 0.0
        ms += choose(durations.warm_ms)
        heapq.heappush(free, at + ms / 1000)
        end = max(end, at + ms / 1000)
        billed_ms += math.ceil(ms)
        waits.append(at - arrival)
        starts.append(at)
    ordered = sorted(waits)
    return Drained(
        messages=len(arrivals),
        seconds=end - arrivals[0],
        mean_wait_seconds=math.fsum(waits) / len(waits),
        p99_wait_seconds=ordered[math.ceil(0.99 * len(ordered)) - 1],
        peak_age_seconds=ordered[-1],
        environments=started,
        billed_ms=billed_ms,
        backlog=_backlog(arrivals, starts),
    )


def burst_seconds(messages: int, ramp: Ramp, mean_seconds: float) -> float:
    """The fluid limit for messages that are all there at once: the time after which the allowed
    environments have worked `messages` times `mean_seconds`."""
    work = messages * mean_seconds
    rate = ramp.per_minute / 60
    ramp_seconds = (ramp.maximum - ramp.initial) / rate
    ramped = ramp.initial * ramp_seconds + rate * ramp_seconds**2 / 2
    if work >= ramped:
        return ramp_seconds + (work - ramped) / ramp.maximum
    return (math.sqrt(ramp.initial**2 + 2 * rate * work) - ramp.initial) / rate


def erlang_c_wait(arrival_rate: float, mean_seconds: float, servers: int) -> float:
    """The mean wait in seconds of an M/M/c queue (Erlang C): Poisson arrivals, exponential
    durations, a constant number of servers.

    Raises ValueError for a load that the servers cannot carry.
    """
    load = arrival_rate * mean_seconds
    if load >= servers:
        raise ValueError(f"{servers} servers cannot carry a load of {load:g}")
    # Erlang B by its recursion, which cannot overflow; Erlang C follows from it.
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = load * blocked / (server + load * blocked)
    waiting = blocked / (1 - load / servers * (1 - blocked))
    return waiting * mean_seconds / (servers - load)


def _backlog(
    arrivals: Sequence[float], starts: Sequence[float], points: int = 400
) -> tuple[tuple[float, int], ...]:
    """Waiting messages at `points` times from the first arrival to the last start."""
    first, last = arrivals[0], starts[-1]
    found: list[tuple[float, int]] = []
    arrived = begun = 0
    for point in range(points + 1):
        at = first + (last - first) * point / points
        while arrived < len(arrivals) and arrivals[arrived] <= at:
            arrived += 1
        while begun < len(starts) and starts[begun] <= at:
            begun += 1
        found.append((at - first, arrived - begun))
    return tuple(found)
