"""The time scale of the run, and environment variables that testcontainers reads at its import."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.waiting import time_scale

# The reaper is a separate image that not every machine can pull; the fixtures clean up instead.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
if Path("/.dockerenv").exists():
    # testcontainers assumes that it runs inside a container of the engine, where published ports
    # are not on loopback. Here they are.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")


def pytest_report_header() -> str:
    """Measures the machine before the tests start: their processes inherit the factor."""
    return f"time limits: x {time_scale():.1f}"
