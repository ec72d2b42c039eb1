"""Metrics of functions, as log lines in CloudWatch's embedded metric format.

CloudWatch extracts metrics from such lines, so no call and no SDK is needed:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Workers and the gateway read the same lines and serve them to Prometheus.

An invocation collects its values and writes them at its end: one line, or a few where values of one
metric have different dimensions. Every metric also has the dimension `function`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

NAMESPACE = "Darkroom"
FUNCTION = "function"
# How such lines begin: their readers need not parse the others.
LINE_START = b'{"_aws":'
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
_VALUES_MAX = 100
_MEMORY_STEP_MIB = 1.0


class Unit(StrEnum):
    """CloudWatch's name of a unit."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    BYTES = "Bytes"
    MEGABYTES = "Megabytes"


@dataclass(frozen=True)
class Definition:
    """A metric. `dimensions` are those besides `function`, with the values that they take: few
    ones, since CloudWatch bills each combination as a metric."""

    name: str
    unit: Unit
    meaning: str
    dimensions: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_dimensions(self) -> tuple[str, ...]:
        return (FUNCTION, *self.dimensions)


class Metric(Enum):
    """Every metric that functions write."""

    PHOTOS = Definition(
        "Photos",
        Unit.COUNT,
        "Photos that got an outcome.",
        {"outcome": "developed, rejected", "reason": "none, or why the photo was rejected"},
    )
    UPLOAD_TO_DEVELOPED = Definition(
        "UploadToDeveloped",
        Unit.MILLISECONDS,
        "Time from the upload of a photo until its outcome was announced.",
    )
    PHOTO_BYTES = Definition("PhotoBytes", Unit.BYTES, "Size of an original with an outcome.")
    QUEUE_WAIT = Definition(
        "QueueWait",
        Unit.MILLISECONDS,
        "Time from the sending of a message until its first attempt.",
    )
    RETRIES = Definition("Retries", Unit.COUNT, "Messages that were received again.")
    FAILED_EVENTS = Definition(
        "FailedEvents",
        Unit.COUNT,
        "Messages that failed. Lambda counts their invocations as successes.",
        {"outcome": "retry (the message returns), dead_letter"},
    )
    FAILED_REQUESTS = Definition(
        "FailedRequests", Unit.COUNT, "Requests that were answered by 500 or above."
    )
    DUPLICATES_REFUSED = Definition(
        "DuplicatesRefused", Unit.COUNT, "Repeated work that was not done a second time."
    )
    PAYMENTS = Definition(
        "Payments",
        Unit.COUNT,
        "Payments that got an outcome at the provider.",
        {"outcome": "charged, declined, voided, refunded"},
    )
    EMAILS = Definition(
        "Emails",
        Unit.COUNT,
        "E-mails, by what became of them.",
        {"outcome": "sent, not_wanted, unknown, refused"},
    )
    COLD_STARTS = Definition(
        "ColdStarts", Unit.COUNT, "Invocations that waited for a new execution environment."
    )
    INIT_DURATION = Definition(
        "InitDuration",
        Unit.MILLISECONDS,
        "Time from the start of the process until the handler was ready, of a cold start.",
    )
    MEMORY_USED = Definition(
        "MemoryUsed",
        Unit.MEGABYTES,
        "Most memory (MiB) that an environment's processes have used. Written when it grows.",
    )


@dataclass
class _Document:
    """One line in the making."""

    values: dict[str, list[float]] = field(default_factory=dict)
    dimensions: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)

    def takes(self, metric: Metric, dimensions: Mapping[str, str]) -> bool:
        """Whether a value fits: a line has one value of each dimension."""
        return len(self.values.get(metric.value.name, ())) < _VALUES_MAX and all(
            self.dimensions.get(name, value) == value for name, value in dimensions.items()
        )

    def add(self, metric: Metric, value: float, dimensions: Mapping[str, str]) -> None:
        name = metric.value.name
        self.dimensions.update(dimensions)
        self.metrics[name] = metric
        self.values.setdefault(name, []).append(value)

    def line(self, function: str, timestamp_ms: int) -> str:
        by_dimensions: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for name, metric in self.metrics.items():
            unit = metric.value.unit.value
            found = by_dimensions.setdefault(metric.value.all_dimensions, [])
            found.append({"Name": name, "Unit": unit})
        directives = [
            {"Namespace": NAMESPACE, "Dimensions": [list(names)], "Metrics": metrics}
            for names, metrics in by_dimensions.items()
        ]
        document: dict[str, Any] = {
            "_aws": {"Timestamp": timestamp_ms, "CloudWatchMetrics": directives},
            FUNCTION: function,
            **self.dimensions,
        }
        for name, values in self.values.items():
            document[name] = values[0] if len(values) == 1 else values
        return json.dumps(document, separators=(",", ":"))


_pending: list[tuple[Metric, float, dict[str, str]]] = []
_init_ms: float | None = None
_memory_written_mib = 0.0


def record(metric: Metric, value: float = 1, **dimensions: str) -> None:
    """Adds a value to the invocation's metrics. `dimensions` are exactly those of the metric."""
    if dimensions.keys() != metric.value.dimensions.keys():
        raise ValueError(
            f"{metric.value.name} has the dimensions {sorted(metric.value.dimensions)}, "
            f"got {sorted(dimensions)}"
        )
    _pending.append((metric, value, dimensions))


def flush(function: str) -> None:
    """Writes the values since the last call to stdout, in as few lines as the format allows."""
    documents: list[_Document] = []
    for metric, value, dimensions in _pending:
        document = next((d for d in documents if d.takes(metric, dimensions)), None)
        if document is None:
            document = _Document()
            documents.append(document)
        document.add(metric, value, dimensions)
    _pending.clear()
    now_ms = int(time.time() * 1000)
    for document in documents:
        sys.stdout.write(document.line(function, now_ms) + "\n")
    if documents:
        sys.stdout.flush()


def handler_ready() -> None:
    """Notes how long the initialization of this process took."""
    global _init_ms
    try:
        # Field 22, in clock ticks since the boot: https://man7.org/linux/man-pages/man5/proc.5.html
        fields = _read("/proc/self/stat").rpartition(b")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        _init_ms = round((time.clock_gettime(time.CLOCK_BOOTTIME) - started) * 1000, 1)
    except (OSError, ValueError, IndexError, AttributeError):
        _init_ms = None  # no Linux


def record_cold_start() -> None:
    """Counts the cold start of this process, and its initialization."""
    record(Metric.COLD_STARTS)
    if _init_ms is not None:
        record(Metric.INIT_DURATION, _init_ms)


def record_memory() -> None:
    """Records the peak memory of this process and its children, if it has grown."""
    global _memory_written_mib
    peak = peak_mib()
    if peak >= _memory_written_mib + _MEMORY_STEP_MIB:
        _memory_written_mib = peak
        record(Metric.MEMORY_USED, round(peak, 1))


def peak_mib(process: str = "self") -> float:
    """The peak memory of a process, by its id, and of the children that it has now. 0 where the
    system does not report it."""
    children: list[bytes] = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208  pathlib costs twice as much
            children += _read(f"/proc/{process}/task/{thread}/children").split()
        return sum(_peak_of(pid) for pid in (process, *map(bytes.decode, children)))
    except OSError:
        return 0.0


def _peak_of(pid: str) -> float:
    found = _read(f"/proc/{pid}/status").partition(b"VmHWM:")[2].split(None, 1)
    return int(found[0]) / 1024 if found else 0.0


def _read(path: str) -> bytes:
    """Empty for a process or thread that has ended, and where the kernel has no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
