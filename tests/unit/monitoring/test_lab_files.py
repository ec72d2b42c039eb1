"""Figures from the files of an embedded lab."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from services.monitoring.lab_files import LabFiles
from services.monitoring.telemetry import WINDOW_SECONDS, Health, Usage
from services.platform import timestamps


def report(function: str, age: float, duration_ms: float, outcome: str = "success") -> str:
    return json.dumps(
        {
            "timestamp": timestamps.format_epoch(time.time() - age, "milliseconds"),
            "event": "report",
            "function": function,
            "duration_ms": duration_ms,
            "outcome": outcome,
            "cold": duration_ms > 90,
        }
    )


@pytest.fixture
def lab(tmp_path: Path) -> LabFiles:
    (tmp_path / "logs").mkdir()
    return LabFiles(tmp_path)


def test_health_counts_reports_of_the_window(lab: LabFiles) -> None:
    lines = [report("a", 10, n) for n in range(1, 101)]
    lines += [
        report("a", WINDOW_SECONDS + 60, 5000),
        "START RequestId: 1",
        report("b", 5, 7, "crash"),
    ]
    (lab.root / "logs" / "worker.log").write_text("\n".join(lines), encoding="utf-8")
    status = {"functions": {"a": {"busy": 2, "last_error": "E: x"}}}
    (lab.root / "worker-status.json").write_text(json.dumps(status), encoding="utf-8")
    found = lab.health(["a", "b", "c"])
    assert found["a"] == Health(100, 0, 50, 99, 10, 2, "E: x")
    assert found["b"] == Health(1, 1, 7, 7, 0, 0, None)
    assert found["c"] == Health(0, 0, None, None, 0, 0, None)


def test_usage_sums_durations_since_a_time(lab: LabFiles) -> None:
    lines = [report("a", 10, 40), report("a", 500, 2.5, "crash"), report("a", 1100, 9000)]
    (lab.root / "logs" / "worker.log").write_text("\n".join(lines), encoding="utf-8")
    assert lab.usage(["a", "b"], time.time() - 1000) == {"a": Usage(2, 42.5)}


def test_health_adds_up_hosts_and_skips_a_file_that_is_being_written(lab: LabFiles) -> None:
    for host in ("worker-1", "worker-2"):
        status = {"functions": {"a": {"busy": 1}}}
        (lab.root / f"{host}-status.json").write_text(json.dumps(status), encoding="utf-8")
    (lab.root / "gateway-status.json").write_text("{", encoding="utf-8")
    assert lab.health(["a"])["a"].in_flight == 2
