"""What the gateway says about itself: functions that cannot start, and functions that refused their
last request because a service that they call does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from services.gateway.pool import Pool

# How long a function counts as unavailable after a 503, if no request comes meanwhile.
UNAVAILABLE_SECONDS = 60.0


class Status(StrEnum):
    """The gateway's state; the first that applies, in this order."""

    DRAINING = "draining"
    FAILING = "failing"  # a function cannot start
    DEGRADED = "degraded"  # a function is unavailable
    HEALTHY = "healthy"


class Health:
    """The health of the functions behind `pools`. For one event loop."""

    def __init__(
        self, pools: Collection[Pool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pools = pools
        self._clock = clock
        self._refused_at: dict[str, float] = {}

    def note(self, function: str, status: int) -> None:
        """Takes the status of a function's own response. A 503 counts until the next success: a bad
        request is refused before any service is called."""
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._refused_at[function] = self._clock()
        elif status < HTTPStatus.BAD_REQUEST:
            self._refused_at.pop(function, None)

    def document(self, *, draining: bool) -> dict[str, Any]:
        """The state of the gateway and of every function, as the health page shows it."""
        functions = [
            {
                "name": pool.function.name,
                "environments": {"alive": pool.alive, "busy": pool.busy},
                "failing": pool.failing,
                "unavailable": self._unavailable(pool.function.name),
            }
            for pool in self._pools
        ]
        status = Status.HEALTHY
        if any(function["unavailable"] for function in functions):
            status = Status.DEGRADED
        if any(function["failing"] for function in functions):
            status = Status.FAILING
        if draining:
            status = Status.DRAINING
        return {"status": status.value, "functions": functions}

    def _unavailable(self, function: str) -> bool:
        refused_at = self._refused_at.get(function)
        return refused_at is not None and self._clock() - refused_at < UNAVAILABLE_SECONDS
