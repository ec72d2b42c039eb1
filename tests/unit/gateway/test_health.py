"""The health document of the gateway."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.gateway.health import UNAVAILABLE_SECONDS, Health
from services.gateway.pool import Pool
from services.runtime.function import Function
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    function = Function("get-image", tmp_path, 256, 20, "arn:aws:lambda", 10, {})
    return Pool(function, 1, 300, ThreadPoolExecutor(1), threading.Semaphore(1))


def state(health: Health, *, draining: bool = False) -> tuple[str, list[bool]]:
    document = health.document(draining=draining)
    return document["status"], [f["unavailable"] for f in document["functions"]]


def test_health_without_requests_is_healthy(pool: Pool, clock: Clock) -> None:
    assert state(Health([pool], clock)) == ("healthy", [False])


def test_health_after_503_is_degraded_until_next_success(pool: Pool, clock: Clock) -> None:
    health = Health([pool], clock)
    health.note("get-image", 503)
    assert state(health) == ("degraded", [True])
    health.note("get-image", 400)
    assert state(health) == ("degraded", [True])
    health.note("get-image", 200)
    assert state(health) == ("healthy", [False])


def test_health_after_503_without_requests_is_degraded_for_a_minute(
    pool: Pool, clock: Clock
) -> None:
    health = Health([pool], clock)
    health.note("get-image", 503)
    clock.now += UNAVAILABLE_SECONDS - 1
    assert state(health) == ("degraded", [True])
    clock.now += 1
    assert state(health) == ("healthy", [False])


def test_health_of_failing_function_is_failing(pool: Pool, clock: Clock) -> None:
    health = Health([pool], clock)
    health.note("get-image", 503)
    pool.status.start_failed("Runtime.ImportModuleError", "no module")
    assert state(health)[0] == "failing"
    assert state(health, draining=True)[0] == "draining"
