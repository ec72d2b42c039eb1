"""The metrics of a host's functions in Prometheus' text format.

Functions write them as log lines (`services.platform.metrics`); the host adds what it counts.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.platform.metrics import LINE_START, Definition, Metric, Unit

if TYPE_CHECKING:  # at run time it would be a circle
    from services.runtime.status import FunctionStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Series of one metric at most: a handler must not fill the memory with dimension values.
SERIES_MAX = 500
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_BYTES = (1e4, 1e5, 1e6, 3e6, 1e7, 3e7, 1e8)
_DEFINITIONS: Mapping[str, Definition] = {metric.value.name: metric.value for metric in Metric}

Labels = tuple[tuple[str, str], ...]


@dataclass
class _Series:
    """The values of one metric and one set of labels."""

    count: int = 0
    total: float = 0.0
    highest: float = 0.0
    buckets: list[int] = field(default_factory=list)

    def add(self, value: float, bounds: tuple[float, ...]) -> None:
        self.count += 1
        self.total += value
        self.highest = max(self.highest, value)
        if bounds:
            self.buckets = self.buckets or [0] * (len(bounds) + 1)
            self.buckets[bisect_left(bounds, value)] += 1


class Registry:
    """Sums up metric lines. Safe for several threads."""

    def __init__(self) -> None:
        self._series: dict[str, dict[Labels, _Series]] = {name: {} for name in _DEFINITIONS}
        self._lock = threading.Lock()

    def observe(self, line: bytes) -> None:
        """Adds the values of a log line, if it has metrics. Ignores what is none of ours."""
        if not line.startswith(LINE_START):
            return
        try:
            document = json.loads(line)
            named = [m["Name"] for d in document["_aws"]["CloudWatchMetrics"] for m in d["Metrics"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        for name in named:
            definition = _DEFINITIONS.get(name) if isinstance(name, str) else None
            if definition is not None:
                self._add(definition, document)

    def _add(self, definition: Definition, document: Mapping[str, Any]) -> None:
        labels = tuple((name, str(document.get(name))) for name in definition.all_dimensions)
        given = document.get(definition.name)
        values = given if isinstance(given, list) else [given]
        with self._lock:
            found = self._series[definition.name]
            if labels not in found and len(found) >= SERIES_MAX:
                return
            series = found.setdefault(labels, _Series())
            for value in values:
                if isinstance(value, int | float):
                    series.add(value * _factor(definition.unit), _bounds(definition.unit))

    def text(self) -> str:
        """All metrics of the functions."""
        with self._lock:
            return "".join(
                _family(_DEFINITIONS[name], series)
                for name, series in self._series.items()
                if series
            )


# That of this process: every execution environment's output passes through it.
REGISTRY = Registry()


def exposition(functions: Iterable[FunctionStatus], *, healthy: bool) -> str:
    """Everything that this host serves to Prometheus."""
    lines = [
        *_head("darkroom_healthy", "gauge", "Whether the host does its work (1) or not (0)."),
        f"darkroom_healthy {int(healthy)}",
    ]
    snapshots = [(one.name, one.snapshot()) for one in functions]
    for name, kind, key, meaning in (
        ("darkroom_environments", "gauge", "environments", "Execution environments."),
        ("darkroom_environments_busy", "gauge", "busy", "Environments that handle an event."),
        ("darkroom_invocations_total", "counter", "invocations", "Invocations that ended."),
        ("darkroom_invocation_failures_total", "counter", "failures", "Of these, failed ones."),
        ("darkroom_failed_starts", "gauge", "init_failures", "Failed starts since a success."),
    ):
        lines += _head(name, kind, meaning)
        lines += [f"{name}{_labels((('function', f),))} {s[key]}" for f, s in snapshots]
    return "\n".join(lines) + "\n" + REGISTRY.text()


def prometheus_name(definition: Definition) -> str:
    """`darkroom_upload_to_developed_seconds`: snake case, with the base unit."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", definition.name).lower()
    if definition.unit is Unit.COUNT:
        return f"darkroom_{snake}_total"
    unit = "seconds" if definition.unit is Unit.MILLISECONDS else "bytes"
    return f"darkroom_{snake}" if snake.endswith(unit) else f"darkroom_{snake}_{unit}"


def _family(definition: Definition, series: Mapping[Labels, _Series]) -> str:
    name = prometheus_name(definition)
    lines: list[str] = []
    if definition.unit is Unit.COUNT:
        lines += _head(name, "counter", definition.meaning)
        lines += [f"{name}{_labels(ls)} {s.total:g}" for ls, s in series.items()]
    elif definition.unit is Unit.MEGABYTES:
        lines += _head(name, "gauge", definition.meaning)
        lines += [f"{name}{_labels(ls)} {s.highest:.0f}" for ls, s in series.items()]
    else:
        lines += _head(name, "histogram", definition.meaning)
        for labels, one in series.items():
            below = 0
            for bound, count in zip(_bounds(definition.unit), one.buckets, strict=False):
                below += count
                lines.append(f"{name}_bucket{_labels((*labels, ('le', f'{bound:g}')))} {below}")
            lines.append(f"{name}_bucket{_labels((*labels, ('le', '+Inf')))} {one.count}")
            lines.append(f"{name}_sum{_labels(labels)} {one.total:g}")
            lines.append(f"{name}_count{_labels(labels)} {one.count}")
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def _labels(labels: Labels) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels) + "}"


def _factor(unit: Unit) -> float:
    """What makes a value one of the base unit."""
    return {Unit.MILLISECONDS: 0.001, Unit.MEGABYTES: 1024.0 * 1024.0}.get(unit, 1.0)


def _bounds(unit: Unit) -> tuple[float, ...]:
    return {Unit.MILLISECONDS: _SECONDS, Unit.BYTES: _BYTES}.get(unit, ())
