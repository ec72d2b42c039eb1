"""The worker process: built from its plan, run until a signal stops it."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from services.runtime import health, output, processes
from services.runtime.exit_codes import ExitCode
from services.runtime.forked import TemplateClient
from services.runtime.status import FunctionStatus, StatusFile
from services.worker.acknowledgement import Acknowledger, RetryPolicy
from services.worker.configuration import FunctionPlan, Plan
from services.worker.environments import EnvironmentPool
from services.worker.leases import RENEWALS_PER_LEASE, Leases
from services.worker.poller import Poller, State, WorkerContext
from services.worker.sqs import Clients, Queue, make_clients
from services.worker.stopping import Stop

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

TICK_SECONDS = 1.0
# After force: time to hand messages back. Long polls that are open then are abandoned.
FORCED_SECONDS = 8.0
# A receive that ends later than its long poll by this much is lost.
RECEIVE_LATE_SECONDS = 30.0


class FunctionWorker:
    """The queue, the leases and the pollers of one function."""

    def __init__(
        self,
        planned: FunctionPlan,
        plan: Plan,
        stop: Stop,
        clients: Clients,
        acknowledging: Executor,
        starting: threading.Semaphore,
        retrying: threading.Lock,
        pool: EnvironmentPool | None,
        template: TemplateClient | None,
    ) -> None:
        settings = plan.queues
        self.function = planned.function
        self.status = FunctionStatus(planned.function.name)
        self.queue = Queue(
            planned.queue_url, planned.dead_letter_queue_url, settings.poll_wait_seconds, clients
        )
        self.leases = Leases(self.queue, settings.visibility_seconds)
        policy = RetryPolicy(
            function=planned.function.name,
            max_receive_count=planned.trigger.max_receive_count,
            backoff_base_seconds=settings.backoff_base_seconds,
            backoff_cap_seconds=settings.backoff_cap_seconds,
        )
        context = WorkerContext(
            function=planned.function,
            trigger=planned.trigger,
            address=planned.address,
            queue=self.queue,
            leases=self.leases,
            acknowledger=Acknowledger(self.queue, self.leases, policy, stop),
            stop=stop,
            acknowledging=acknowledging,
            starting=starting,
            status=self.status,
            pool=pool,
            retrying=retrying,
            template=template,
        )
        self.pollers: list[Poller] = []
        for number in range(planned.concurrency):
            previous = self.pollers[-1] if self.pollers else None
            self.pollers.append(Poller(number, context, previous))

    def healthy(self, poll_wait_seconds: int) -> bool:
        """Whether messages are processed, or would be."""
        if self.queue.refuses_deletes:
            return False
        states = {poller.state for poller in self.pollers}
        if State.WORKING in states:
            return True
        silent_seconds = time.monotonic() - self.queue.last_received_at
        on_time = silent_seconds < poll_wait_seconds + RECEIVE_LATE_SECONDS
        return State.POLLING in states and self.queue.receiving_works and on_time


class Worker:
    """All parts of one worker process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stop = Stop()
        self.pool = (
            EnvironmentPool(plan.environments, plan.idle_seconds) if plan.on_demand else None
        )
        pollers = sum(planned.concurrency for planned in plan.functions)
        clients = make_clients(
            plan.functions[0].address.region,
            plan.queues.poll_wait_seconds,
            # A receive or acknowledgement for each poller, the heartbeat, and one to spare.
            connections=2 * pollers + 2,
        )
        acknowledging = ThreadPoolExecutor(pollers, thread_name_prefix="acknowledging")
        # More starts at a time than processors would only delay each of them.
        starting = threading.Semaphore(os.cpu_count() or 1)
        # Of all functions that fail to start, one at a time takes up a place.
        retrying = threading.Lock()
        fd = plan.queues.template_fd
        template = TemplateClient(fd) if fd is not None else None
        self.functions = [
            FunctionWorker(
                planned, plan, self.stop, clients, acknowledging, starting,
                threading.Lock() if self.pool is None else retrying, self.pool, template,
            )
            for planned in plan.functions
        ]  # fmt: skip
        self.pollers = [poller for one in self.functions for poller in one.pollers]
        self.status_file = StatusFile(
            plan.queues.status_file, [one.status for one in self.functions]
        )

    @property
    def healthy(self) -> bool:
        """Whether every function's messages are processed, or would be."""
        wait_seconds = self.plan.queues.poll_wait_seconds
        return self.stop.draining.is_set() or all(
            one.healthy(wait_seconds) for one in self.functions
        )

    def update_status(self) -> None:
        """Writes the status file and touches the health file."""
        for one in self.functions:
            one.status.queue_failed(one.queue.error)
        self.status_file.update(draining=self.stop.draining.is_set())
        file = self.plan.queues.health_file
        if file is not None and self.healthy:
            # The age of a file that cannot be touched says that something is wrong.
            with suppress(OSError):
                health.touch(file)


def run(worker: Worker) -> ExitCode:
    """Works until SIGTERM or SIGINT, then stops in the order that `stopping` describes."""
    log = output.logger()
    ended = threading.Event()
    with _signals() as signals:
        log.info(
            "worker_started",
            functions=[one.function.name for one in worker.functions],
            environments=worker.plan.environments,
            pid=os.getpid(),
        )
        threads = [threading.Thread(target=_renew_leases, args=(worker, ended), daemon=True)]
        if worker.pool is not None:
            threads.append(
                threading.Thread(target=_close_idle, args=(worker.pool, ended), daemon=True)
            )
        for thread in threads:
            thread.start()
        metrics = _serve_metrics(worker)
        for poller in worker.pollers:
            poller.start()
        code = _supervise(worker, signals)
        ended.set()
        if metrics is not None:
            metrics.server_close()
        if worker.pool is not None:
            worker.pool.close()
        worker.update_status()
    log.info("worker_stopped", exit_code=int(code), outcome=code.name.lower())
    return code


def _serve_metrics(worker: Worker) -> ThreadingHTTPServer | None:
    """The server of metrics and health, if one is configured. A port that is taken is reported and
    does not stop the work."""
    queues = worker.plan.queues
    if queues.metrics_port is None:
        return None
    from services.worker import metrics_server  # most workers have no port

    statuses = tuple(one.status for one in worker.functions)
    try:
        server = metrics_server.start(
            queues.metrics_host, queues.metrics_port, statuses, lambda: worker.healthy
        )
    except OSError as error:
        output.logger().error("listen_failed", port=queues.metrics_port, reason=str(error))
        return None
    output.logger().info("metrics_served", host=queues.metrics_host, port=server.server_port)
    return server


def _renew_leases(worker: Worker, ended: threading.Event) -> None:
    seconds = worker.plan.queues.visibility_seconds
    while not ended.wait(seconds / RENEWALS_PER_LEASE / 4):
        for one in worker.functions:
            try:
                one.leases.renew_due()
            except Exception:  # noqa: BLE001  a defect must not let the other leases run out
                output.logger().error("lease_renewal_failed", exc_info=True)


def _close_idle(pool: EnvironmentPool, ended: threading.Event) -> None:
    while not ended.wait(TICK_SECONDS):
        pool.close_idle()


def _supervise(worker: Worker, signals: int) -> ExitCode:
    log = output.logger()
    drain_ends = float("inf")
    drain_seconds = worker.plan.queues.drain_seconds
    next_update = 0.0
    while not all(poller.ended for poller in worker.pollers):
        if time.monotonic() >= next_update:
            worker.update_status()
            processes.reap_orphans()
            next_update = time.monotonic() + TICK_SECONDS
        count = _signals_within(signals, TICK_SECONDS, worker)
        draining = worker.stop.draining.is_set()
        if not draining and (count or any(poller.failed for poller in worker.pollers)):
            log.info("drain_started", seconds=drain_seconds)
            worker.stop.drain()
            drain_ends = time.monotonic() + drain_seconds
            count -= 1
            draining = True
        if draining and (count > 0 or time.monotonic() >= drain_ends):
            _force(worker)
            return ExitCode.UNFINISHED
    return ExitCode.FAILED if any(poller.failed for poller in worker.pollers) else ExitCode.DRAINED


def _force(worker: Worker) -> None:
    output.logger().warning("stop_forced")
    worker.stop.force()
    give_up_at = time.monotonic() + FORCED_SECONDS
    for poller in worker.pollers:
        poller.kill()
    # A poller in its long poll has nothing to hand back.
    while time.monotonic() < give_up_at and any(
        not poller.ended and poller.state is not State.POLLING for poller in worker.pollers
    ):
        time.sleep(0.05)
    open_polls = sum(
        not poller.ended and poller.state is State.POLLING for poller in worker.pollers
    )
    if open_polls:
        # Messages that they receive become visible again when their leases run out.
        output.logger().warning("polls_abandoned", polls=open_polls)


@contextmanager
def _signals() -> Iterator[int]:
    """A file descriptor that receives a byte for each SIGTERM or SIGINT. The handlers do nothing:
    almost nothing is safe to do between two arbitrary instructions."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    stops = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: None) for number in stops]
    wakeup_before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    try:
        yield read_end
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in zip(stops, before, strict=True):
            signal.signal(number, handler)
        os.close(read_end)
        os.close(write_end)


def _signals_within(read_end: int, seconds: float, worker: Worker) -> int:
    """The number of signals received. Polled more often while draining, for a prompt end."""
    patience = 0.05 if worker.stop.draining.is_set() else seconds
    readable, _, _ = select.select([read_end], [], [], patience)
    return len(os.read(read_end, 64)) if readable else 0
