"""The embedded lab as a target: an emulator and worker processes, no Docker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from services.load_test import target
from services.load_test.plan import Plan
from services.load_test.target import Resources, TargetKind, WorkerGroup
from services.local import lab as labs
from services.local.mailbox import sent_mails
from services.local.options import LabOptions
from services.local.parts import WORKER
from services.local.state import PROJECT, ChildState, LabFiles, LabState, alive
from services.platform import manifest
from services.platform.errors import TransientError
from services.platform.manifest import Feature
from services.runtime.memory import resident_mib

# The supervisor restarts a killed worker within this time.
RESTART_SECONDS = 20.0
_POLL_SECONDS = 0.05


class EmbeddedTarget:
    """A lab for this run alone, in the run's folder."""

    kind = TargetKind.EMBEDDED

    def __init__(self, plan: Plan, state: LabState, files: LabFiles) -> None:
        self._state = state
        self._files = files
        self.resources = Resources(
            originals=state.buckets["originals"],
            renditions=state.buckets["renditions"],
            images=state.tables["images"],
            queues=state.queues,
        )
        self.worker_groups = tuple(
            WorkerGroup(m.name, plan.workers, m.memory_mib, None)
            for m in manifest.load_all(PROJECT / "images")
            if m.name in state.queues
        )
        self.remarks = (
            "Workers are processes without a CPU quota: durations, and so the cost, are those of "
            "this machine, not of Lambda's memory sizes. The run in containers has the quotas.",
        )

    @classmethod
    @contextmanager
    def opened(cls, plan: Plan, port: int | None = None) -> Iterator[EmbeddedTarget]:
        """Starts the lab for a `with` block. The emulator listens on `port` of loopback (default:
        a free one). The lab ends however this process ends. Raises TransientError,
        PermanentError."""
        root = plan.folder / "lab"
        options = LabOptions(
            port=port, workers=plan.workers, features=(Feature.PHOTOS,), recipe=plan.recipe
        )
        with ExitStack() as stack:
            with _environment(plan.worker_variables):
                state = stack.enter_context(labs.temporary_lab(root, options))
            yield cls(plan, state, LabFiles(root))

    def client(self, service: str) -> Any:
        return target.client(self._state.endpoint, service, self._state.credentials)

    def mails(self) -> list[str]:
        return [mail.event_id for mail in sent_mails(Path(self._state.mail_folder))]

    def logs(self) -> Iterator[tuple[str, str]]:
        for child in self._workers():
            yield child.name, Path(child.log).read_text(encoding="utf-8", errors="replace")

    def memory_mib(self) -> Mapping[str, float]:
        return {child.name: resident_mib(child.pid) for child in self._workers()}

    def kill(self, draw: float) -> str:
        workers = self._workers()
        victim = workers[int(draw * len(workers))]
        give_up_at = time.monotonic() + RESTART_SECONDS
        while not alive(victim.pid):
            if time.monotonic() > give_up_at:
                raise TransientError(
                    f"{victim.name} did not restart within {RESTART_SECONDS:.0f} s; "
                    f"see {victim.log}"
                )
            time.sleep(_POLL_SECONDS)
            victim = next(c for c in self._workers() if c.name == victim.name)
        os.kill(victim.pid, signal.SIGKILL)
        return victim.name

    def check(self) -> None:
        if labs.running(self._files.root) is None:
            state = self._files.read()
            reason = state.message if state is not None and state.message else "it gave no reason"
            raise TransientError(f"the lab ended during the run: {reason}; see {self._files.logs}")

    def _workers(self) -> list[ChildState]:
        """The worker hosts. Each runs all functions, so each log has the lines of all of them."""
        state = self._files.read() or self._state
        return [child for child in state.children if child.name.startswith(WORKER)]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The variables in this process's environment, from which the lab's processes inherit."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
