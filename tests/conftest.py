"""The time scale of the run, environment variables that testcontainers reads at its import, and
what tests of one process must not leave to each other."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import botocore.loaders
import httpx
import pytest

from services.platform import metrics
from tests.support.waiting import time_scale

# The reaper is a separate image that not every machine can pull; the fixtures clean up instead.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
if Path("/.dockerenv").exists():
    # testcontainers assumes that it runs inside a container of the engine, where published ports
    # are not on loopback. Here they are.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")

# Each call of httpx.get makes a client, which would read all certificate authorities: 40 ms of CPU.
_transports = vars(httpx._transports.default)
_transports["create_ssl_context"] = functools.cache(_transports["create_ssl_context"])

# Each session of botocore parses the descriptions of its services anew: 100 ms of CPU for a client.
vars(botocore.loaders)["create_loader"] = functools.cache(botocore.loaders.create_loader)


def pytest_report_header() -> str:
    """Measures the machine before the tests start: their processes inherit the factor."""
    return f"time limits: x {time_scale():.1f}"


@pytest.fixture(autouse=True)
def _no_pending_metrics() -> Iterator[None]:
    """Work that a test calls outside of an invocation records metrics, and no one writes them."""
    metrics._pending.clear()
    yield
    metrics._pending.clear()
