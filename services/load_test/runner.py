"""Runs a load test: generator, faults and observation at the same time, then reconciliation."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from services.catalog.store import Catalog
from services.load_test import observations, unconfirmed_emails, worker_log
from services.load_test.generator import Generator, Upload
from services.load_test.observations import Depth
from services.load_test.photos import Album
from services.load_test.plan import KILLS_MAX, SETTLED_BETWEEN_KILLS, Plan
from services.load_test.reconciliation import Reconciliation, reconcile
from services.load_test.target import Target, TargetKind, WorkerGroup
from services.load_test.unconfirmed_emails import UnconfirmedEmail
from services.load_test.worker_log import WorkerLogs
from services.platform.errors import TransientError

SAMPLE_SECONDS = 0.5
CHECK_SECONDS = 2.0
# Longer than the longest pause before a message's last allowed receive.
NO_PROGRESS_SECONDS = 120.0
# E-mails reach the mailbox a moment after they were sent.
MAILBOX_SECONDS = 10.0
# Empty for this long is empty; and what is doubled has time to show.
QUIET_SECONDS = 2.0


@dataclass(frozen=True)
class Sample:
    """The lab at one moment; `at` in seconds since the epoch."""

    at: float
    uploaded: int
    settled: int
    depths: dict[str, Depth]
    memory_mib: Mapping[str, float] = field(default_factory=dict)
    """Resident memory of each worker, where the target tells it."""


@dataclass(frozen=True)
class Kill:
    """A worker that was killed; `at` in seconds since the epoch."""

    at: float
    worker: str


@dataclass(frozen=True)
class Run:
    """All that is known of a run when it is over. `seen` is when the catalogue was first seen to
    have each photo settled, to within SAMPLE_SECONDS; the handlers' logs know it exactly."""

    plan: Plan
    kind: TargetKind
    worker_groups: tuple[WorkerGroup, ...]
    remarks: tuple[str, ...]
    began: float
    ended: float
    uploads: tuple[Upload, ...]
    samples: tuple[Sample, ...]
    kills: tuple[Kill, ...]
    seen: dict[str, float]
    logs: WorkerLogs
    unconfirmed_emails: tuple[UnconfirmedEmail, ...]
    reconciliation: Reconciliation


class Killer:
    """Kills a random worker every few seconds until `stop` is called, as the plan says.

    `settled` is the number of photos that are settled so far. Workers that settled fewer than
    SETTLED_BETWEEN_KILLS photos since the last kill get more time: on a machine that is too slow
    for that, kills alone would use up the receives of a message.
    """

    def __init__(self, plan: Plan, target: Target, settled: Callable[[], int]) -> None:
        self._plan = plan
        self._target = target
        self._settled = settled
        self._random = random.Random()  # noqa: S311  which worker dies is no secret
        self._stop = threading.Event()
        self.kills: list[Kill] = []

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        settled_before = 0
        pause = self._plan.kill_every_seconds
        while len(self.kills) < KILLS_MAX and not self._stop.wait(pause):
            settled = self._settled()
            if settled < max(self._plan.faults_after, settled_before + SETTLED_BETWEEN_KILLS):
                continue
            settled_before, at = settled, time.time()
            self.kills.append(Kill(at, self._target.kill(self._random.random())))


class Runner:
    """One run on a target that is ready."""

    def __init__(
        self,
        plan: Plan,
        target: Target,
        album: Album,
        progress: Callable[[Sample, int], None] = lambda _sample, _kills: None,
    ) -> None:
        self._plan = plan
        self._target = target
        self._progress = progress
        self._generator = Generator(plan, album, target.client("s3"), target.resources.originals)
        self._catalog = Catalog(target.client("dynamodb"), target.resources.images)
        self._seen: dict[str, float] = {}
        self._killer = Killer(plan, target, lambda: len(self._seen))
        self._samples: list[Sample] = []
        self._unconfirmed_emails: list[UnconfirmedEmail] = []

    def run(self) -> Run:
        """Runs the plan. Raises TransientError when the target fails. A reconciliation with
        discrepancies is not an error here."""
        began = time.time()
        with ThreadPoolExecutor(2, thread_name_prefix="load-test") as pool:
            try:
                generating = pool.submit(self._generator.run)
                killing = pool.submit(self._killer.run) if self._plan.faults else None
                self._observe(generating, killing)
                self._killer.stop()
                if killing is not None:
                    killing.result()
                self._settle()
            finally:
                self._generator.stop()
                self._killer.stop()
        found = observations.gather(self._target, self._plan.owners, self._generator.uploads)
        return Run(
            plan=self._plan,
            kind=self._target.kind,
            worker_groups=self._target.worker_groups,
            remarks=self._target.remarks,
            began=began,
            ended=time.time(),
            uploads=self._generator.uploads,
            samples=tuple(self._samples),
            kills=tuple(self._killer.kills),
            seen=self._seen,
            logs=worker_log.read(self._target.logs()),
            unconfirmed_emails=tuple(self._unconfirmed_emails),
            reconciliation=reconcile(found),
        )

    def _observe(self, generating: Future[None], killing: Future[None] | None) -> None:
        """Samples until nothing is left to do, or nothing has happened for too long."""
        # A slow timetable is no standstill.
        progress = _Progress(NO_PROGRESS_SECONDS + 1 / self._plan.rate)
        checked_at = quiet_since = 0.0
        while True:
            now = time.monotonic()
            for task in (generating, killing):
                if task is not None and task.done():
                    task.result()  # raises what it raised
            if now - checked_at > CHECK_SECONDS:
                self._target.check()
                checked_at = now
            try:
                sample = self._sample()
            except (BotoCoreError, ClientError) as error:
                progress.note_error(error)
            else:
                progress.note(sample)
                busy = any(depth.total for depth in sample.depths.values())
                settled = self._done(sample)
                if settled:
                    self._killer.stop()  # it has done what it can; let the rest come to an end
                if not generating.done() or busy or not settled:
                    quiet_since = 0.0
                elif not quiet_since:
                    quiet_since = now
                elif now - quiet_since > QUIET_SECONDS:
                    return
            if progress.stalled:
                return
            time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - now)))

    def _settle(self) -> None:
        """Waits for the mailbox, and resolves unconfirmed e-mails, until none are left."""
        sqs, queues = self._target.client("sqs"), self._target.resources.queues
        # Only a kill makes an e-mail unconfirmed, and no more workers are killed.
        for _ in range(2):
            self._await_mails()
            found = unconfirmed_emails.resolve(sqs, queues, frozenset(self._target.mails()))
            if not found:
                return
            self._unconfirmed_emails += found
            self._observe(_finished(), None)

    def _await_mails(self) -> None:
        give_up_at = time.monotonic() + MAILBOX_SECONDS
        wanted = sum(upload.problem is None for upload in self._generator.uploads)
        while len(self._target.mails()) < wanted and time.monotonic() < give_up_at:
            time.sleep(SAMPLE_SECONDS)

    def _sample(self) -> Sample:
        arrived = [u.key for u in self._generator.uploads if u.problem is None]
        pending = [key for key in arrived if key not in self._seen]
        for owner in self._plan.owners:
            own = [key for key in pending if key.startswith(f"{owner}/")]
            for source in self._catalog.sources(owner, own):
                if source.announced:
                    self._seen[source.key] = time.time()
        depths = observations.depths(self._target.client("sqs"), self._target.resources)
        sample = Sample(
            time.time(), len(arrived), len(self._seen), depths, self._target.memory_mib()
        )
        self._samples.append(sample)
        self._progress(sample, len(self._killer.kills))
        return sample

    def _done(self, sample: Sample) -> bool:
        ended = len(self._generator.uploads)
        return ended >= self._plan.total and sample.settled >= sample.uploaded


class _Progress:
    """Detects a standstill. Raises TransientError when the target does not answer."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._last: tuple[int, int, int] | None = None
        self._since = time.monotonic()

    @property
    def stalled(self) -> bool:
        return time.monotonic() - self._since > self._patience

    def note(self, sample: Sample) -> None:
        now = (sample.uploaded, sample.settled, sum(d.total for d in sample.depths.values()))
        if now != self._last:
            self._last, self._since = now, time.monotonic()

    def note_error(self, error: Exception) -> None:
        if self.stalled:
            raise TransientError(
                f"the lab's queues and tables have not answered for {self._patience:.0f} s "
                f"({error}): the machine is too small for this rate; try a lower one"
            )


def _finished() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future
