"""One poller: a thread that receives batches and passes them to its execution environment.

A poller receives one batch at a time, and only while its environment is ready: no message expires
in a buffer, and no receive count is used up while no environment can start. The acknowledgement of
a batch overlaps with the receipt of the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from enum import Enum, auto

from services.platform.manifest import QueueTrigger
from services.runtime import output
from services.runtime.backoff import pause
from services.runtime.execution import Environment, Function, InitError, Outcome, Stopping
from services.runtime.report import report
from services.worker.acknowledgement import Acknowledger
from services.worker.batch import Message, event, failures, parts
from services.worker.configuration import QueueAddress
from services.worker.leases import Leases
from services.worker.sqs import MAX_BATCH_ENTRIES, Queue, QueueRefusedError, QueueUnavailableError
from services.worker.stopping import Stop

RECEIVE_BASE_SECONDS = 0.2
RECEIVE_CAP_SECONDS = 15.0
EMPTY_SECONDS = 0.5
START_BASE_SECONDS = 1.0
START_CAP_SECONDS = 60.0
_TRACE_ATTRIBUTE = "AWSTraceHeader"


class State(Enum):
    """What a poller is doing."""

    STARTING = auto()
    POLLING = auto()
    WORKING = auto()
    ENDED = auto()


@dataclass(frozen=True)
class WorkerContext:
    """What all pollers of a worker share."""

    function: Function
    trigger: QueueTrigger
    address: QueueAddress
    queue: Queue
    leases: Leases
    acknowledger: Acknowledger
    stop: Stop
    acknowledging: Executor
    starting: threading.Semaphore


def gather(
    queue: Queue,
    leases: Leases,
    trigger: QueueTrigger,
    draining: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> list[Message]:
    """Receives one batch: up to `batch_size` messages, within `batch_window_seconds` of the first.

    As Lambda: the window starts with the first message. Leases start with the receipt. Raises
    QueueUnavailableError or QueueRefusedError when there is nothing yet; what was received before a
    failure is a batch.
    """
    first = queue.receive(min(trigger.batch_size, MAX_BATCH_ENTRIES), leases.seconds)
    leases.hold(first)
    # By id: a queue may deliver a message twice, and only the newer receipt is good.
    batch = {m.id: m for m in first}
    full = len(first) == MAX_BATCH_ENTRIES
    window_ends = clock() + trigger.batch_window_seconds
    while batch and len(batch) < trigger.batch_size and not draining():
        left = window_ends - clock()
        # Without time left, only what is surely there is taken.
        if left <= 0 and not full:
            break
        wanted = min(trigger.batch_size - len(batch), MAX_BATCH_ENTRIES)
        try:
            more = queue.receive(wanted, leases.seconds, wait_seconds=max(0, min(20, int(left))))
        except (QueueUnavailableError, QueueRefusedError):
            break
        leases.hold(more)
        leases.release([batch[m.id] for m in more if m.id in batch])
        batch.update({m.id: m for m in more})
        full = len(more) == MAX_BATCH_ENTRIES
        if not more and left < 1:
            break
    return list(batch.values())


class Poller:
    """Runs in a thread of its own from `start` until the worker drains."""

    def __init__(self, number: int, context: WorkerContext) -> None:
        self._context = context
        self._environment: Environment | None = None
        self._acknowledging: Future[None] | None = None
        self._failed_starts = 0
        self._failed_receives = 0
        self.state = State.STARTING
        self.failed = False
        self._thread = threading.Thread(target=self._run, name=f"poller-{number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def kill(self) -> None:
        """Ends the environment now, whatever it does. From any thread."""
        environment = self._environment
        if environment is not None:
            environment.kill()

    def _run(self) -> None:
        try:
            try:
                while not self._context.stop.draining.is_set():
                    self._once()
            finally:
                self._close_environment()
                if self._acknowledging is not None:
                    self._acknowledging.result()
        except Exception:  # noqa: BLE001  a poller's boundary: a defect of ours ends the worker, loudly
            output.logger().error("poller_failed", exc_info=True)
            self.failed = True
        finally:
            self.state = State.ENDED

    def _once(self) -> None:
        """Receives and works off one batch, if there is one."""
        if not self._environment_ready():
            return
        self.state = State.POLLING
        stop = self._context.stop
        asked_at = time.monotonic()
        try:
            messages = gather(
                self._context.queue,
                self._context.leases,
                self._context.trigger,
                stop.draining.is_set,
            )
        except (QueueUnavailableError, QueueRefusedError):
            self._failed_receives += 1
            stop.draining.wait(
                pause(self._failed_receives, RECEIVE_BASE_SECONDS, RECEIVE_CAP_SECONDS)
            )
            return
        self._failed_receives = 0
        if messages:
            self.state = State.WORKING
            for part in parts(messages):
                self._work(part)
        elif time.monotonic() - asked_at < EMPTY_SECONDS:
            # Nothing, and at once: short polling, or something in between that answers for the
            # queue. Either way asking again at once only costs.
            stop.draining.wait(EMPTY_SECONDS)

    def _work(self, messages: Sequence[Message]) -> None:
        if self._context.stop.draining.is_set() or not self._environment_ready(patient=False):
            self._context.acknowledger.hand_back(messages)
            return
        environment = self._environment
        if environment is None:
            raise RuntimeError("a ready poller has no environment")
        self.state = State.WORKING
        function, address = self._context.function, self._context.address
        invocation = environment.invoke(
            event(messages, address.arn, address.region),
            messages[0].document.get("Attributes", {}).get(_TRACE_ATTRIBUTE, ""),
        )
        output.write_json(**report(function.name, function.memory_mib, invocation, len(messages)))
        if invocation.outcome is Outcome.STOPPED:
            self._context.acknowledger.hand_back(messages)
            return
        failed = failures(messages, invocation)
        # One acknowledgement at a time: a queue that refuses it stops further batches.
        if self._acknowledging is not None:
            self._acknowledging.result()
        self._acknowledging = self._context.acknowledging.submit(
            self._context.acknowledger.acknowledge, messages, failed, invocation.request_id
        )

    def _environment_ready(self, *, patient: bool = True) -> bool:
        """Whether an environment is there for the next batch; starts one where needed. After a
        failed start it waits, longer each time, if it is `patient`: not with messages in hand."""
        if self._environment is not None:
            if self._environment.ready():
                return True
            self._close_environment()
        self.state = State.STARTING
        stop = self._context.stop
        with self._context.starting:
            if stop.draining.is_set():
                return False
            # Known to `kill` before it starts.
            self._environment = Environment(self._context.function, stop.draining.is_set)
            started = time.monotonic()
            try:
                self._environment.start()
            except Stopping:
                self._environment = None
                return False
            except InitError as error:
                self._environment = None
                self._failed_starts += 1
                delay = pause(self._failed_starts, START_BASE_SECONDS, START_CAP_SECONDS)
                output.logger().error(
                    "init_failed",
                    function=self._context.function.name,
                    error_type=error.error_type,
                    reason=error.message,
                    failures=self._failed_starts,
                    next_try_seconds=round(delay, 1),
                )
            else:
                self._failed_starts = 0
                output.logger().info(
                    "environment_started",
                    function=self._context.function.name,
                    pid=self._environment.pid,
                    init_ms=round((time.monotonic() - started) * 1000, 1),
                )
                return True
        if patient:
            stop.draining.wait(delay)
        return False

    def _close_environment(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None
