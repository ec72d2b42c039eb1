"""A function's execution environments, as on Lambda: started on demand, reused, closed when idle.

The state belongs to the event loop; only invocations run in threads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from services.runtime import output
from services.runtime.execution import Environment, InitError, Invocation, Stopping
from services.runtime.forked import TemplateClient
from services.runtime.function import Function
from services.runtime.report import report
from services.runtime.status import FunctionStatus

# Lambda throttles at once, but has a thousand environments where this has four. A page that sends
# ten requests at a time must not get errors, so a request waits this long before it is throttled.
QUEUE_SECONDS = 1.0
# After a response an environment needs a moment to request the next event. The next request of the
# same client is often faster, and would start another environment.
SETTLE_SECONDS = 0.05

# Starts wait for each other, so that each gets a processor; a start that hangs delays the others
# only this long.
START_TURN_SECONDS = 1.0

T = TypeVar("T")


class ThrottledError(Exception):
    """All environments of the function are busy."""


@dataclass(eq=False)
class _Slot:
    """The place of one environment; empty until one has started, and after it has ended."""

    environment: Environment | None = None
    starting: bool = True
    idle_since: float = 0.0


class Pool:
    """Up to `concurrency` environments of one function. For one event loop."""

    def __init__(
        self,
        function: Function,
        concurrency: int,
        idle_seconds: float,
        executor: Executor,
        starting: threading.Semaphore,
        template: TemplateClient | None = None,
    ) -> None:
        self.function = function
        self._template = template
        self.status = FunctionStatus(function.name)
        self._concurrency = concurrency
        self._idle_seconds = idle_seconds
        self._executor = executor
        self._starts = starting
        self._forced = threading.Event()
        self._slots: set[_Slot] = set()
        self._idle: list[_Slot] = []
        self._waiting: deque[asyncio.Future[_Slot]] = deque()
        self._settling = 0

    @property
    def failing(self) -> bool:
        """Whether the last start failed."""
        return self.status.failing

    @property
    def alive(self) -> int:
        return sum(slot.environment is not None for slot in self._slots)

    @property
    def busy(self) -> int:
        return len(self._slots) - len(self._idle)

    async def invoke(self, event: bytes, trace: str = "") -> Invocation:
        """Passes the event to the most recently used idle environment, or to a new one.

        Raises ThrottledError, InitError, or Stopping when the gateway stops.
        When the caller is cancelled, the environment finishes and remains usable.
        """
        slot = await self._acquire()
        return await self._run(slot, lambda: self._invoke(slot, event, trace))

    async def prewarm(self) -> None:
        """Starts an environment ahead of the first event. Raises InitError or Stopping."""
        slot = self._new_slot()
        await self._run(slot, lambda: self._start(slot))

    async def close_idle(self) -> None:
        """Closes environments that were idle for `idle_seconds`."""
        now = time.monotonic()
        stale = [s for s in self._idle if now - s.idle_since >= self._idle_seconds]
        for slot in stale:
            self._idle.remove(slot)
        await asyncio.gather(*(self._close(slot) for slot in stale))

    async def close(self) -> None:
        """Closes all idle environments."""
        slots, self._idle = self._idle, []
        await asyncio.gather(*(self._close(slot) for slot in slots))

    def force(self) -> None:
        """Kills every environment."""
        self._forced.set()
        for slot in self._slots:
            if slot.environment is not None:
                slot.environment.kill()

    @property
    def starting(self) -> bool:
        """Whether an environment is starting."""
        return any(slot.starting for slot in self._slots)

    async def _acquire(self) -> _Slot:
        room = len(self._slots) < self._concurrency
        if self._idle:
            return self._idle.pop()
        if room and self._settling <= len(self._waiting):
            return self._new_slot()
        waiting: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            if room:
                done, _ = await asyncio.wait({waiting}, timeout=SETTLE_SECONDS)
                if not done and len(self._slots) < self._concurrency:
                    return self._new_slot()
            while True:
                was_starting = self.starting
                done, _ = await asyncio.wait({waiting}, timeout=QUEUE_SECONDS)
                if done:
                    return waiting.result()
                # Time in which an environment starts does not count.
                if not was_starting and not self.starting:
                    raise ThrottledError
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._put_back(waiting.result())
            raise
        finally:
            if not waiting.done():
                waiting.cancel()
                self._waiting.remove(waiting)

    def _new_slot(self) -> _Slot:
        slot = _Slot()
        self._slots.add(slot)
        return slot

    async def _run(self, slot: _Slot, work: Callable[[], T]) -> T:
        """Runs `work` and what follows it in a thread; returns at the answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def deliver(set_outcome: Callable[[], None]) -> None:
            self._settling += 1
            if not answer.done():  # else the caller was cancelled
                set_outcome()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:
                loop.call_soon_threadsafe(deliver, partial(answer.set_exception, error))
                if not isinstance(error, InitError | Stopping):
                    self._discard(slot)
                    raise
            else:
                loop.call_soon_threadsafe(deliver, partial(answer.set_result, result))
            # It is reused only once it waits for the next event.
            if slot.environment is not None and not slot.environment.ready():
                self._discard(slot)

        def finished(done: asyncio.Future[None]) -> None:
            self._settling -= 1
            if (error := done.exception()) is not None:
                output.logger().error("pool_failed", function=self.function.name, exc_info=error)
            self._put_back(slot)

        task = loop.run_in_executor(self._executor, run)
        task.add_done_callback(finished)
        return await answer

    def _put_back(self, slot: _Slot) -> None:
        slot.starting = slot.environment is None
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(slot)
                return
        if slot.environment is None:
            self._slots.discard(slot)
        else:
            slot.idle_since = time.monotonic()
            self._idle.append(slot)

    def _invoke(self, slot: _Slot, event: bytes, trace: str) -> Invocation:
        environment = slot.environment
        # It may have ended while it was idle; the request gets another one.
        if environment is not None and not environment.ready():
            self._discard(slot)
            environment = None
        if environment is None:
            environment = self._start(slot)
        self.status.invocation_started()
        invocation = None
        try:
            invocation = environment.invoke(event, trace)
        finally:
            self.status.invocation_ended(invocation)
        output.write_json(
            **report(self.function.name, self.function.memory_mib, invocation, records=1)
        )
        return invocation

    def _start(self, slot: _Slot) -> Environment:
        slot.starting = True
        my_turn = self._starts.acquire(timeout=START_TURN_SECONDS)
        try:
            return self._started(slot)
        finally:
            slot.starting = False
            if my_turn:
                self._starts.release()

    def _started(self, slot: _Slot) -> Environment:
        if self._forced.is_set():
            raise Stopping
        # Known to `force` before it starts.
        slot.environment = environment = Environment(
            self.function, self._forced.is_set, self._template
        )
        started = time.monotonic()
        try:
            environment.start()
        except InitError as error:
            slot.environment = None
            self.status.start_failed(error.error_type, error.message)
            output.logger().error(
                "init_failed",
                function=self.function.name,
                error_type=error.error_type,
                reason=error.message,
            )
            raise
        except BaseException:
            slot.environment = None
            raise
        self.status.environment_started()
        output.logger().info(
            "environment_started",
            function=self.function.name,
            pid=environment.pid,
            init_ms=round((time.monotonic() - started) * 1000, 1),
        )
        return environment

    async def _close(self, slot: _Slot) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._discard, slot)
        self._slots.discard(slot)
        # A request may have found no room meanwhile.
        if self._waiting:
            self._put_back(self._new_slot())

    def _discard(self, slot: _Slot) -> None:
        environment, slot.environment = slot.environment, None
        if environment is not None:
            environment.close()
            self.status.environment_ended()
