"""The execution environments of a host that starts them on demand.

At most `limit` exist at once, all functions together. An environment without work is closed after
`idle_seconds`, or earlier when another function needs its place.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from services.runtime.execution import Environment, Stopping
from services.runtime.status import FunctionStatus

# A waiting poller looks this often whether the worker stops.
WAIT_SECONDS = 0.25


@dataclass(frozen=True)
class _Idle:
    owner: FunctionStatus
    environment: Environment
    since: float


class EnvironmentPool:
    """Places for environments. Safe for many threads.

    `acquire` reserves a place; `release` gives it back, with the environment in it or without.
    """

    def __init__(
        self, limit: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._reserved = 0
        self._idle: list[_Idle] = []  # the longest idle first
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def acquire(self, owner: FunctionStatus, stopping: Callable[[], bool]) -> Environment | None:
        """An idle environment of `owner`, or None with a place to start one in.

        Waits for a place, in order of arrival. Raises Stopping when the worker stops meanwhile.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                evicted = self._reserve(owner, ticket, stopping)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        if evicted is None:
            return None
        if evicted.owner is owner:
            return evicted.environment
        self._end(evicted)
        return None

    def release(self, owner: FunctionStatus, environment: Environment | None) -> None:
        """Gives back a place. `environment` is idle; None when it has ended or never started."""
        with self._changed:
            if environment is None:
                self._reserved -= 1
            else:
                self._idle.append(_Idle(owner, environment, self._clock()))
            self._changed.notify_all()

    def close_idle(self) -> None:
        """Closes environments that were idle for `idle_seconds`, in the caller's thread."""
        now = self._clock()
        self._close([one for one in self._idle if now - one.since >= self._idle_seconds])

    def close(self) -> None:
        """Closes all idle environments."""
        self._close(list(self._idle))

    def _reserve(
        self, owner: FunctionStatus, ticket: object, stopping: Callable[[], bool]
    ) -> _Idle | None:
        """What was idle in the reserved place: `owner`'s own environment, or one to evict."""
        while not stopping():
            own = next((one for one in reversed(self._idle) if one.owner is owner), None)
            if own is not None:
                self._idle.remove(own)
                return own
            if self._waiting[0] is ticket:
                if self._reserved < self._limit:
                    self._reserved += 1
                    return None
                if self._idle:
                    return self._idle.pop(0)
            self._changed.wait(WAIT_SECONDS)
        raise Stopping

    def _close(self, wanted: list[_Idle]) -> None:
        for one in wanted:
            with self._changed:
                if one not in self._idle:
                    continue  # it was acquired meanwhile
                self._idle.remove(one)
            self._end(one)
            self.release(one.owner, None)

    @staticmethod
    def _end(one: _Idle) -> None:
        one.environment.close()
        one.owner.environment_ended()
