"""Figures and log lines of an embedded lab, from the files of its worker and its gateway."""

from __future__ import annotations

import json
import math
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.monitoring.lab import Queue
from services.monitoring.log_reading import read_lines
from services.monitoring.telemetry import WINDOW_SECONDS, Health, Sample, Usage
from services.monitoring.trace import Line

# The end of each log that is read: more than an hour of a laptop's lab.
_LOG_BYTES_MAX = 16 * 1024 * 1024
_CALL_SECONDS = 1.0
_SUCCESS = "success"


@dataclass(frozen=True)
class LabFiles:
    """The files below `root`: `*-status.json` and `logs/*.log`."""

    root: Path
    refresh_seconds: int = 3

    def health(self, functions: Collection[str]) -> Mapping[str, Health]:
        reports = self._reports(functions, time.time() - WINDOW_SECONDS)
        now = self._now()
        return {name: _health(reports[name], now.get(name, {})) for name in functions}

    def usage(self, functions: Collection[str], since: float) -> Mapping[str, Usage]:
        return {
            name: Usage(len(lines), sum(_duration_ms(line) for line in lines))
            for name, lines in self._reports(functions, since).items()
            if lines
        }

    def history(self, _queues: Mapping[str, Queue]) -> Mapping[str, Sequence[Sample]]:
        """None: the page that shows the queues collects what it has seen."""
        return {}

    def oldest_seconds(self, queue: Queue) -> float | None:
        return oldest_seconds(os.environ.get("AWS_ENDPOINT_URL", ""), queue.url)

    def lines_about(self, _identifier: str) -> Iterable[Line]:
        return self._lines()

    def _reports(self, functions: Collection[str], since: float) -> dict[str, list[Line]]:
        """The reports of invocations of each function that ended at `since` or later."""
        reports: dict[str, list[Line]] = {name: [] for name in functions}
        for line in self._lines():
            name = line.text("function")
            if line.fields.get("event") == "report" and line.at >= since and name in reports:
                reports[name].append(line)
        return reports

    def _lines(self) -> list[Line]:
        texts: list[str] = []
        for path in sorted((self.root / "logs").glob("*.log")):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _LOG_BYTES_MAX))
                texts += file.read(_LOG_BYTES_MAX).decode("utf-8", "replace").splitlines()
        return read_lines(texts)

    def _now(self) -> dict[str, dict[str, Any]]:
        """What worker and gateway report of each function."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self.root.glob("*-status.json")):
            try:
                reported = json.loads(path.read_text(encoding="utf-8"))["functions"]
            except (OSError, ValueError, KeyError):
                continue  # being replaced; the next status has it
            for name, counts in reported.items():
                known = found.setdefault(name, {"busy": 0, "last_error": ""})
                known["busy"] += counts.get("busy", 0)
                known["last_error"] = counts.get("last_error") or known["last_error"]
        return found


def oldest_seconds(endpoint: str, queue_url: str) -> float | None:
    """The age of the oldest message. SQS reports it only as a CloudWatch metric, which emulators
    lack; this asks MiniStack at `endpoint`, and is None with another emulator."""
    query = urllib.parse.urlencode({"QueueUrl": queue_url})
    url = f"{endpoint}/_ministack/sqs/messages?{query}"
    try:
        with urllib.request.urlopen(url, timeout=_CALL_SECONDS) as answer:  # noqa: S310  ours
            accounts = json.load(answer)["messages"]
    except (OSError, ValueError, KeyError):
        return None
    sent = [
        float(message["SentTimestamp"])
        for regions in accounts.values()
        for queues in regions.values()
        for messages in queues.values()
        for message in messages
    ]
    return round(max(0.0, time.time() - min(sent)), 1) if sent else None


def _duration_ms(report: Line) -> float:
    return float(report.fields.get("duration_ms", 0))


def _health(reports: Sequence[Line], now: Mapping[str, Any]) -> Health:
    durations = sorted(map(_duration_ms, reports))
    return Health(
        invocations=len(reports),
        errors=sum(line.text("outcome") != _SUCCESS for line in reports),
        p50_ms=_percentile(durations, 50),
        p99_ms=_percentile(durations, 99),
        cold_starts=sum(bool(line.fields.get("cold")) for line in reports),
        in_flight=int(now.get("busy", 0)),
        last_error=now.get("last_error") or None,
    )


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest value that at least `percent` of all do not exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else None
