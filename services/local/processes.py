"""Child processes of the lab's supervisor: started, restarted with back-off, stopped together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.local.state import PROJECT, ChildState
from services.platform.errors import DarkroomError
from services.runtime.processes import die_with_parent

# The delay before a restart doubles with every quick failure, from the first value to the last.
FIRST_RESTART_SECONDS = 0.1
LAST_RESTART_SECONDS = 10.0
# A process that ran this long before it ended is not a quick failure.
STABLE_SECONDS = 10.0

Spawn = Callable[[], subprocess.Popen[bytes]]


@dataclass
class Child:
    """A supervised process. `spawn` starts it again."""

    name: str
    log: Path
    spawn: Spawn
    process: subprocess.Popen[bytes]
    started: float
    restarts: int = 0
    quick_failures: int = 0
    restart_at: float | None = None
    last_error: str = ""

    def state(self) -> ChildState:
        return ChildState(
            self.name, self.process.pid, self.restarts, str(self.log), self.last_error
        )

    def revive(self) -> None:
        """Restarts the process if it has ended and its back-off has passed."""
        now = time.monotonic()
        if self.process.poll() is None:
            return
        if self.restart_at is None:
            code = self.process.returncode or 0
            self.last_error = (
                f"ended with code {code}" if code >= 0 else f"killed by signal {-code}"
            )
            # A process killed by a signal did not fail by itself.
            self._delay(now, quick=code >= 0 and now - self.started < STABLE_SECONDS)
        elif now >= self.restart_at:
            self.started, self.restart_at = now, None
            try:
                self.process = self.spawn()
                self.restarts += 1
            except (DarkroomError, OSError) as error:
                self.last_error = str(error)
                self._delay(now, quick=True)

    def _delay(self, now: float, *, quick: bool) -> None:
        self.quick_failures = self.quick_failures + 1 if quick else 0
        seconds = FIRST_RESTART_SECONDS * 2 ** min(max(self.quick_failures - 1, 0), 16)
        self.restart_at = now + min(seconds, LAST_RESTART_SECONDS)


def start_child(name: str, log: Path, spawn: Spawn) -> Child:
    return Child(name, log, spawn, spawn(), time.monotonic())


def spawner(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    sockets: Sequence[socket.socket] = (),
) -> Spawn:
    """Starts `command` in a session of its own; its output is appended to `log`. It inherits
    `sockets`, which stay open for the next start."""

    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                list(command),
                cwd=PROJECT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
                pass_fds=[one.fileno() for one in sockets],
            )

    return spawn


def stop_all(children: Sequence[Child], drain_seconds: float, force_seconds: float) -> None:
    """Sends SIGTERM to every child, a second one after `drain_seconds`, and SIGKILL after
    `force_seconds` more. On the second SIGTERM a worker stops without draining."""
    processes = [child.process for child in children]
    for seconds in (drain_seconds, force_seconds):
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        _wait(processes, seconds)
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, give_up_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            return


def inherited_environment() -> dict[str, str]:
    """This process's environment without AWS settings, which belong to the person at the shell, and
    with bytecode written: without it each new execution environment compiles all of its modules."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name != "PYTHONDONTWRITEBYTECODE"
    }
