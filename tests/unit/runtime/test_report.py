"""The line that ends an invocation."""

from __future__ import annotations

from dataclasses import replace

from services.runtime.execution import Invocation, Outcome
from services.runtime.report import report

COLD = Invocation(
    request_id="r-1",
    outcome=Outcome.SUCCESS,
    payload=b"{}",
    error_type="",
    error_message="",
    duration_ms=12.3456,
    peak_mib=45.01,
    cold=True,
    init_ms=200.5,
)


def test_a_cold_start_is_billed_with_its_init() -> None:
    assert report("developer", 512, COLD, 3) == {
        "event": "report",
        "function": "developer",
        "request_id": "r-1",
        "outcome": "success",
        "records": 3,
        "duration_ms": 12.35,
        "billed_duration_ms": 213,
        "memory_size_mib": 512,
        "max_memory_used_mib": 46,
        "cold": True,
        "init_duration_ms": 200.5,
    }


def test_a_warm_one_is_rounded_up_to_a_millisecond() -> None:
    found = report("developer", 512, replace(COLD, cold=False, init_ms=0.0), 1)
    assert found["billed_duration_ms"] == 13
    assert "init_duration_ms" not in found


def test_a_failure_says_why() -> None:
    failed = replace(
        COLD, outcome=Outcome.TIMEOUT, error_type="Sandbox.Timedout", error_message="too long"
    )
    found = report("developer", 512, failed, 1)
    assert (found["outcome"], found["error_type"], found["error_message"]) == (
        "timeout",
        "Sandbox.Timedout",
        "too long",
    )
