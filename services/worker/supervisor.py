"""The worker as a whole: put together from its configuration, run until it is told to stop."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from services.platform import manifest as manifests
from services.platform.configuration import read
from services.platform.errors import ConfigurationError
from services.runtime import output
from services.runtime.execution import Function
from services.runtime.exit_codes import ExitCode
from services.worker import health
from services.worker.acknowledgement import Acknowledger, RetryPolicy
from services.worker.configuration import Configuration, QueueAddress, queue_address
from services.worker.leases import Leases
from services.worker.poller import Poller, State, WorkerContext
from services.worker.sqs import Queue
from services.worker.stopping import Stop

TICK_SECONDS = 1.0
# After force: time to hand messages back. Long polls that are still open then are left behind.
FORCED_SECONDS = 8.0
# A receive later than its long poll by this much is no longer on its way.
RECEIVE_LATE_SECONDS = 30.0


class Worker:
    """All parts of one worker process."""

    def __init__(
        self, configuration: Configuration, manifest: manifests.Manifest, address: QueueAddress
    ) -> None:
        name = configuration.function_name or manifest.name
        trigger = manifest.queue
        if trigger is None:
            raise ConfigurationError(name, ["has no queue trigger: nothing to work on"])
        self.configuration = configuration
        self.stop = Stop()
        self.queue = Queue(
            configuration.queue_url,
            configuration.dead_letter_queue_url,
            address.region,
            configuration.poll_wait_seconds,
            # A poller's receive or acknowledgement each, the heartbeat, and one to spare.
            connections=2 * configuration.concurrency + 2,
        )
        self.leases = Leases(self.queue, configuration.visibility_seconds)
        self.function = Function(
            name=name,
            folder=manifest.folder,
            memory_mib=manifest.memory_mib,
            timeout_seconds=manifest.timeout_seconds,
            arn=address.arn.rsplit(":", 1)[0].replace(":sqs:", ":lambda:") + f":function:{name}",
            init_seconds=configuration.init_seconds,
            variables=_variables(configuration, trigger, address),
        )
        rules = RetryPolicy(
            function=name,
            max_receive_count=trigger.max_receive_count,
            backoff_base_seconds=configuration.backoff_base_seconds,
            backoff_cap_seconds=configuration.backoff_cap_seconds,
        )
        context = WorkerContext(
            function=self.function,
            trigger=trigger,
            address=address,
            queue=self.queue,
            leases=self.leases,
            acknowledger=Acknowledger(self.queue, self.leases, rules, self.stop),
            stop=self.stop,
            acknowledging=ThreadPoolExecutor(
                configuration.concurrency, thread_name_prefix="acknowledging"
            ),
            # More starts at a time than processors would only make each of them late.
            starting=threading.Semaphore(os.cpu_count() or 1),
        )
        self.pollers = [Poller(n, context) for n in range(configuration.concurrency)]


def assemble(folder: Path, environ: Mapping[str, str]) -> Worker:
    """A worker for the function in `folder`. Raises ConfigurationError with every mistake."""
    mistakes: list[str] = []
    configuration = manifest = address = None
    try:
        configuration = read(Configuration, environ)
    except ConfigurationError as error:
        mistakes += error.mistakes
    try:
        manifest = manifests.load(folder.resolve())
    except ConfigurationError as error:
        mistakes.append(str(error))
    if not (folder / "handler.py").is_file():
        mistakes.append(f"{folder} must hold a handler.py")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    if not region:
        mistakes.append("AWS_REGION is not set (the queue's region)")
    queue_url = environ.get("WORKER_QUEUE_URL", "").strip()
    if queue_url:
        try:
            address = queue_address(queue_url, region)
        except ValueError as error:
            mistakes.append(f"WORKER_QUEUE_URL must be {error}")
    if mistakes or configuration is None or manifest is None or address is None:
        raise ConfigurationError("the worker's configuration", mistakes)
    return Worker(configuration, manifest, address)


def run(worker: Worker) -> ExitCode:
    """Works until SIGTERM or SIGINT, then stops in the order that `stopping` describes."""
    log = output.logger()
    heartbeat_ends = threading.Event()
    with _signals() as signals:
        log.info(
            "worker_started",
            function=worker.function.name,
            queue=worker.configuration.queue_url,
            concurrency=worker.configuration.concurrency,
            pid=os.getpid(),
        )
        threading.Thread(
            target=worker.leases.run, args=(heartbeat_ends,), name="heartbeat", daemon=True
        ).start()
        for poller in worker.pollers:
            poller.start()
        code = _supervise(worker, signals)
        heartbeat_ends.set()
    log.info("worker_stopped", exit_code=int(code), outcome=code.name.lower())
    return code


def _supervise(worker: Worker, signals: int) -> ExitCode:
    log = output.logger()
    drain_ends = float("inf")
    while not all(poller.ended for poller in worker.pollers):
        count = _signals_within(signals, TICK_SECONDS, worker)
        if worker.configuration.health_file is not None and healthy(worker):
            # A file that cannot be touched says by its age what there is to say.
            with suppress(OSError):
                health.touch(worker.configuration.health_file)
        draining = worker.stop.draining.is_set()
        if not draining and (count or any(poller.failed for poller in worker.pollers)):
            log.info("drain_started", seconds=worker.configuration.drain_seconds)
            worker.stop.drain()
            drain_ends = time.monotonic() + worker.configuration.drain_seconds
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
    # A poller that only waits for its long poll has nothing to hand back.
    while time.monotonic() < give_up_at and any(
        not poller.ended and poller.state is not State.POLLING for poller in worker.pollers
    ):
        time.sleep(0.05)
    open_polls = sum(
        not poller.ended and poller.state is State.POLLING for poller in worker.pollers
    )
    if open_polls:
        # What they bring, if anything, comes back when its lease runs out.
        output.logger().warning("polls_abandoned", polls=open_polls)


def healthy(worker: Worker) -> bool:
    """Whether work is being done, or would be: an environment is there, and the queue answers."""
    states = {poller.state for poller in worker.pollers}
    if worker.stop.draining.is_set() or State.WORKING in states:
        return True
    silent_seconds = time.monotonic() - worker.queue.last_received_at
    on_time = silent_seconds < worker.configuration.poll_wait_seconds + RECEIVE_LATE_SECONDS
    return State.POLLING in states and worker.queue.receiving_works and on_time


def _variables(
    configuration: Configuration, trigger: manifests.QueueTrigger, address: QueueAddress
) -> dict[str, str]:
    """What a function in the worker gets beyond Lambda's own variables, unless it is set."""
    wanted = {
        "AWS_REGION": address.region,
        "AWS_DEFAULT_REGION": address.region,
        "MAX_RECEIVE_COUNT": str(trigger.max_receive_count),
    }
    if configuration.dead_letter_queue_url is not None:
        wanted["DEAD_LETTER_QUEUE_URL"] = configuration.dead_letter_queue_url
    return {name: value for name, value in wanted.items() if not os.environ.get(name)}


@contextmanager
def _signals() -> Iterator[int]:
    """A file descriptor that gets a byte for each SIGTERM or SIGINT. Handlers themselves do
    nothing: what they may safely do between any two instructions is next to nothing."""
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
    """How many signals came. While draining it looks more often, so that the end is not late."""
    patience = 0.05 if worker.stop.draining.is_set() else seconds
    readable, _, _ = select.select([read_end], [], [], patience)
    return len(os.read(read_end, 64)) if readable else 0
