"""Time limits of tests: one place, scaled by the speed of the machine that runs them.

A limit ends a test that hangs. It says nothing about speed: tests wait for a condition, not for a
time, and a slow or busy machine gets longer limits.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

VARIABLE = "DARKROOM_TEST_TIME_SCALE"
# Enough for any single step on a quiet machine: a process starts, a message arrives, a row changes.
STEP_SECONDS = 60.0
# One call over HTTP on loopback. API Gateway answers within 30 s (its integration limit).
HTTP_SECONDS = 35.0
MAX_SCALE = 10.0
PAUSE_SECONDS = 0.05

# Seconds that each operation takes on two quiet cores of a small cloud machine.
_REFERENCE = {"start a process": 0.025, "compute": 0.035, "hash 16 MiB": 0.015}


def measure() -> float:
    """How many times slower this machine is now than the reference, from 1 to `MAX_SCALE`. The
    slowest of three operations counts, each the better of two tries; takes about 0.2 s."""
    operations: dict[str, Callable[[], object]] = {
        "start a process": lambda: subprocess.run(
            [sys.executable, "-S", "-c", "pass"], check=True, timeout=60
        ),
        "compute": lambda: sum(range(2_000_000)),
        "hash 16 MiB": lambda: hashlib.sha256(bytes(2**24)).digest(),
    }
    ratios = [
        min(_seconds(operation), _seconds(operation)) / _REFERENCE[name]
        for name, operation in operations.items()
    ]
    return min(max(1.0, *ratios), MAX_SCALE)


def time_scale() -> float:
    """The factor of all limits: measured once for a test run, and given to its child processes."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = f"{measure():.2f}"
    return float(os.environ[VARIABLE])


def scaled(seconds: float) -> float:
    """A limit for this machine, in seconds, from the limit for a quiet reference machine."""
    return seconds * time_scale()


def eventually(
    condition: Callable[[], Value],
    what: str,
    seconds: float = STEP_SECONDS,
    pause_seconds: float = PAUSE_SECONDS,
) -> Value:
    """The first true value of `condition`. `seconds` is the limit on a quiet reference machine.
    When the limit ends, the machine is measured again: one that became slower gets more time.

    Raises AssertionError with `what` and the last value when the condition stays false.
    """
    began = time.monotonic()
    limit = scaled(seconds)
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        if waited > limit:
            limit = seconds * max(time_scale(), measure())
            assert waited <= limit, f"not within {waited:.0f} s: {what}; last value: {value!r}"
        time.sleep(pause_seconds)


def _seconds(operation: Callable[[], object]) -> float:
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began
