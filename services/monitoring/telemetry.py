"""What is measured of functions and queues, and where their log lines are.

On AWS it comes from CloudWatch; in an embedded lab from the files that its worker and gateway
write. `telemetry` chooses by the configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.monitoring.lab import CLOUDWATCH, LabConfiguration, Queue
from services.monitoring.trace import Line

# Figures of functions are those of this time.
WINDOW_SECONDS = 3600


@dataclass(frozen=True)
class Health:
    """One function in the window. Durations in milliseconds; None: not known. `in_flight`:
    invocations that run, on AWS the highest number in the last five minutes."""

    invocations: int = 0
    errors: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    cold_starts: int | None = None
    in_flight: int | None = None
    last_error: str | None = None


@dataclass(frozen=True)
class Usage:
    """A function's invocations since a time, and the sum of their durations in milliseconds."""

    invocations: int
    duration_ms: float


@dataclass(frozen=True)
class Sample:
    """A queue at one time, seconds since the epoch. `oldest_seconds` is the age of its oldest
    message, None without one."""

    at: float
    waiting: int
    oldest_seconds: float | None


class Telemetry(Protocol):
    """A source of figures and log lines."""

    @property
    def refresh_seconds(self) -> int:
        """How often a page may ask again."""
        ...

    def health(self, functions: Collection[str]) -> Mapping[str, Health]:
        """Function to its health; functions that did nothing may be missing."""
        ...

    def usage(self, functions: Collection[str], since: float) -> Mapping[str, Usage]:
        """Function to its usage from `since`, a whole hour in seconds since the epoch; functions
        that did nothing are missing."""
        ...

    def history(self, queues: Mapping[str, Queue], /) -> Mapping[str, Sequence[Sample]]:
        """Function to samples of its queue in the window, oldest first; none if nobody took any."""
        ...

    def oldest_seconds(self, queue: Queue, /) -> float | None:
        """The age of the queue's oldest message now, if the source can tell."""
        ...

    def lines_about(self, identifier: str, /) -> Iterable[Line]:
        """Log lines that may belong to the trace of an id."""
        ...


def telemetry(configuration: LabConfiguration) -> Telemetry:
    """The source that the configuration names."""
    if configuration.telemetry == CLOUDWATCH:
        from services.monitoring.cloudwatch import CloudWatch
        from services.platform.aws.clients import client

        return CloudWatch(configuration, lambda: client("cloudwatch"), client("logs"))
    from services.monitoring.lab_files import LabFiles

    return LabFiles(Path(configuration.telemetry))
