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
from dataclasses import dataclass, field
from enum import Enum, auto

from services.platform.manifest import QueueTrigger
from services.runtime import output
from services.runtime.backoff import pause
from services.runtime.execution import Environment, InitError, Outcome, Stopping
from services.runtime.forked import TemplateClient
from services.runtime.function import Function
from services.runtime.report import report
from services.runtime.status import FunctionStatus
from services.worker.acknowledgement import Acknowledger
from services.worker.batch import Failure, Message, event, failures, parts, trace_header
from services.worker.configuration import QueueAddress
from services.worker.environments import EnvironmentPool
from services.worker.leases import Leases
from services.worker.sqs import MAX_BATCH_ENTRIES, Queue, QueueRefusedError, QueueUnavailableError
from services.worker.stopping import Stop

RECEIVE_BASE_SECONDS = 0.2
RECEIVE_CAP_SECONDS = 15.0
EMPTY_SECONDS = 0.5
START_BASE_SECONDS = 1.0
START_CAP_SECONDS = 60.0
# Waits for a turn end after this long, to see whether the worker stops.
TURN_SECONDS = 1.0
WORKER_STOPPED = Failure("Worker.Stopped", "the worker stopped before the message was processed")
START_FAILED = Failure(
    "Worker.StartFailed", "no execution environment could start to process the message"
)


class State(Enum):
    """What a poller is doing."""

    STARTING = auto()
    WAITING = auto()
    """The pollers before it keep up: it does not receive."""
    POLLING = auto()
    WORKING = auto()
    ENDED = auto()


@dataclass(frozen=True)
class WorkerContext:
    """What all pollers of a function share. Without a `pool` each keeps an environment; with it
    environments start on demand. `retrying` admits one repeated start at a time."""

    function: Function
    trigger: QueueTrigger
    address: QueueAddress
    queue: Queue
    leases: Leases
    acknowledger: Acknowledger
    stop: Stop
    acknowledging: Executor
    starting: threading.Semaphore
    status: FunctionStatus
    pool: EnvironmentPool | None = None
    retrying: threading.Lock = field(default_factory=threading.Lock)
    template: TemplateClient | None = None


def gather(
    queue: Queue,
    leases: Leases,
    trigger: QueueTrigger,
    draining: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> list[Message]:
    """Receives one batch: up to `batch_size` messages, within `batch_window_seconds` of the first.

    As on Lambda the window starts with the first message. Leases start with the receipt. A message
    that is received twice is in the batch once, with its newer receipt. Raises
    QueueUnavailableError or QueueRefusedError when the first receive fails; after a later failure
    the messages so far are the batch.
    """
    first = queue.receive(min(trigger.batch_size, MAX_BATCH_ENTRIES), leases.seconds)
    batch: dict[str, Message] = {}
    _add(batch, first, leases)
    full = len(first) == MAX_BATCH_ENTRIES
    window_ends = clock() + trigger.batch_window_seconds
    while batch and len(batch) < trigger.batch_size and not draining():
        left = window_ends - clock()
        # After the window only messages that are available at once are added.
        if left <= 0 and not full:
            break
        wanted = min(trigger.batch_size - len(batch), MAX_BATCH_ENTRIES)
        try:
            more = queue.receive(wanted, leases.seconds, wait_seconds=max(0, min(20, int(left))))
        except (QueueUnavailableError, QueueRefusedError):
            break
        _add(batch, more, leases)
        full = len(more) == MAX_BATCH_ENTRIES
        if not more and left < 1:
            break
    return list(batch.values())


def _add(batch: dict[str, Message], received: Sequence[Message], leases: Leases) -> None:
    """Adds messages to a batch. Only the newest receipt of a message is valid; the lease on an
    older one ends, or it would be renewed for ever."""
    leases.hold(received)
    superseded = []
    for message in received:
        if message.id in batch:
            superseded.append(batch[message.id])
        batch[message.id] = message
    leases.release(superseded)


class Poller:
    """Receives and processes batches in a thread of its own, from `start` until the worker drains.

    With a pool only the first poller of a function receives all the time. Each other one receives
    while `previous`, the poller before it, processes a batch.
    """

    def __init__(self, number: int, context: WorkerContext, previous: Poller | None = None) -> None:
        self._context = context
        self._previous = previous if context.pool is not None else None
        self._environment: Environment | None = None
        self._has_place = False
        self._acknowledgement: Future[None] | None = None
        self._failed_starts = 0
        self._failed_receives = 0
        self._busy = threading.Event()
        self.state = State.STARTING if context.pool is None else State.WAITING
        self.failed = False
        self._thread = threading.Thread(
            target=self._run, name=f"{context.function.name}-{number}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def kill(self) -> None:
        """Kills the environment. From any thread."""
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
                if self._acknowledgement is not None:
                    self._acknowledgement.result()
        except Exception:  # noqa: BLE001  a defect of the worker itself: it must end, not hang
            output.logger().error(
                "poller_failed", function=self._context.function.name, exc_info=True
            )
            self.failed = True
        finally:
            self._busy.clear()
            self.state = State.ENDED

    def _once(self) -> None:
        """Receives and processes one batch, if there is one."""
        if not self._may_receive():
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
            self._busy.set()
            try:
                for part in parts(messages):
                    self._process(part)
            finally:
                self._busy.clear()
                self._park_environment()
        elif time.monotonic() - asked_at < EMPTY_SECONDS:
            # An empty response at once: short polling, or a proxy that answers for the queue.
            stop.draining.wait(EMPTY_SECONDS)

    def _may_receive(self) -> bool:
        if self._context.pool is None:
            return self._environment_ready()
        if self._previous is not None and not self._previous._busy.wait(TURN_SECONDS):
            self.state = State.WAITING
            return False
        if self._context.status.failing or self._failed_starts:
            # No further message is received, and no receive count used up, until a start succeeds.
            ready = self._environment_ready()
            self._park_environment()
            return ready
        return True

    def _process(self, messages: Sequence[Message]) -> None:
        context = self._context
        if context.stop.draining.is_set():
            context.acknowledger.hand_back(messages, WORKER_STOPPED)
            return
        if not self._environment_ready(patient=False):
            failure = WORKER_STOPPED if context.stop.draining.is_set() else START_FAILED
            context.acknowledger.hand_back(messages, failure)
            return
        environment = self._environment
        if environment is None:
            raise RuntimeError("a ready poller has no environment")
        self.state = State.WORKING
        context.status.invocation_started()
        invocation = None
        try:
            invocation = environment.invoke(
                event(messages, context.address.arn, context.address.region),
                trace_header(messages),
            )
        finally:
            context.status.invocation_ended(invocation)
        output.write_json(
            **report(context.function.name, context.function.memory_mib, invocation, len(messages))
        )
        if invocation.outcome is Outcome.STOPPED:
            context.acknowledger.hand_back(messages, WORKER_STOPPED)
            return
        failed = failures(messages, invocation)
        # One acknowledgement at a time: a queue that refuses it stops further batches.
        if self._acknowledgement is not None:
            self._acknowledgement.result()
        self._acknowledgement = context.acknowledging.submit(
            context.acknowledger.acknowledge, messages, failed, invocation.request_id
        )

    def _environment_ready(self, *, patient: bool = True) -> bool:
        """Whether an environment can process the next batch; starts one where needed. After a
        failed start a `patient` call waits, longer each time: not with messages in hand."""
        try:
            self._take_place()
        except Stopping:
            return False
        if self._environment is not None:
            if self._environment.ready():
                self._failed_starts = 0
                return True
            self._end_environment()
        if not patient or not self._failed_starts:
            delay = self._start_environment()
        else:
            while not self._context.retrying.acquire(timeout=TURN_SECONDS):
                if self._context.stop.draining.is_set():
                    self._give_up_place()
                    return False
            try:
                delay = self._start_environment()
            finally:
                self._context.retrying.release()
        if delay is None:
            return self._environment is not None
        if patient:
            self._context.stop.draining.wait(delay)
        return False

    def _start_environment(self) -> float | None:
        """Starts an environment, unless the worker stops. After a failure: seconds to wait."""
        context = self._context
        self.state = State.STARTING
        # A start that hangs must not hold up the starts of other functions.
        turn = context.starting.acquire(timeout=TURN_SECONDS)
        try:
            if context.stop.draining.is_set():
                self._give_up_place()
                return None
            # `kill` must reach it while it starts.
            environment = self._environment = Environment(
                context.function, context.stop.draining.is_set, context.template
            )
            started = time.monotonic()
            environment.start()
        except Stopping:
            self._give_up_place()
            return None
        except InitError as error:
            self._give_up_place()
            self._failed_starts += 1
            delay = pause(self._failed_starts, START_BASE_SECONDS, START_CAP_SECONDS)
            context.status.start_failed(error.error_type, error.message)
            output.logger().error(
                "init_failed",
                function=context.function.name,
                error_type=error.error_type,
                reason=error.message,
                failures=self._failed_starts,
                next_try_seconds=round(delay, 1),
            )
            return delay
        finally:
            if turn:
                context.starting.release()
        self._failed_starts = 0
        context.status.environment_started()
        output.logger().info(
            "environment_started",
            function=context.function.name,
            pid=environment.pid,
            init_ms=round((time.monotonic() - started) * 1000, 1),
        )
        return None

    def _take_place(self) -> None:
        """Reserves a place in the pool, if there is one; raises Stopping."""
        context = self._context
        if context.pool is not None and not self._has_place:
            self._environment = context.pool.acquire(context.status, context.stop.draining.is_set)
            self._has_place = True

    def _park_environment(self) -> None:
        """Gives the environment to the pool, where it waits for the next batch or is closed."""
        if self._context.pool is not None and self._environment is not None:
            environment, self._environment = self._environment, None
            self._has_place = False
            self._context.pool.release(self._context.status, environment)

    def _give_up_place(self) -> None:
        self._environment = None
        if self._context.pool is not None and self._has_place:
            self._has_place = False
            self._context.pool.release(self._context.status, None)

    def _end_environment(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None
            self._context.status.environment_ended()

    def _close_environment(self) -> None:
        self._end_environment()
        self._give_up_place()
