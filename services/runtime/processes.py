"""The processes of execution environments: their group, their end, and orphans to reap."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

# Without a pidfd (macOS, old kernels) the end of a process is polled this often.
POLL_SECONDS = 0.01
# Held while a child starts, so that `reap_orphans` never takes it for an orphan.
_children_lock = threading.Lock()
_children: set[int] = set()


class Process(Protocol):
    """A process that leads a group of its own."""

    pid: int
    fd: int | None
    """A pidfd, readable once the process has ended; None where there is none."""

    def ended(self) -> bool:
        """Whether the process has ended. Its children are killed as soon as this is noticed."""
        ...

    def wait(self, seconds: float) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process and its children, unless the process has ended."""
        ...

    def close(self) -> None:
        """Frees the pidfd."""
        ...


class ChildProcess:
    """A child of this process, started from a command line. Safe for several threads."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        variables: Mapping[str, str],
        output: int,
        inherited: Sequence[int],
    ) -> None:
        self._lock = threading.Lock()
        with _children_lock:
            self._popen = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=inherited,
                # A group of its own: Ctrl-C at the terminal reaches the worker only, and the
                # handler's children can be killed with the handler.
                start_new_session=True,
            )
            self.pid = self._popen.pid
            _children.add(self.pid)
        self.fd = open_pidfd(self.pid)

    def ended(self) -> bool:
        with self._lock:
            return self._ended()

    def wait(self, seconds: float) -> int | None:
        if not self.ended() and self.fd is not None:
            select.select([self.fd], [], [], seconds)
        give_up_at = time.monotonic() + seconds
        while not self.ended() and self.fd is None and time.monotonic() < give_up_at:
            time.sleep(POLL_SECONDS)
        return self._popen.returncode

    def signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self._ended():
                kill_group(self.pid, number)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _ended(self) -> bool:
        if self._popen.returncode is not None:
            return True
        # Until it is reaped the number cannot belong to another group.
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                if not os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    return False
                kill_group(self.pid, signal.SIGKILL)
        if self._popen.poll() is None:
            return False
        with _children_lock:
            _children.discard(self.pid)
        return True


def open_pidfd(pid: int) -> int | None:
    """A file descriptor that becomes readable when the process ends; None where unsupported."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None


def kill_group(pid: int, number: signal.Signals) -> None:
    """Sends a signal to the group that `pid` leads; no error when the group is empty."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def reap_orphans() -> int:
    """Reaps ended processes that this process has adopted; how many.

    Orphans of handlers are adopted by PID 1, which is the worker in a container without an init.
    """
    reaped = 0
    with _children_lock:
        for pid in _zombie_children():
            if pid not in _children:
                with contextlib.suppress(ChildProcessError):
                    reaped += os.waitpid(pid, os.WNOHANG)[0] != 0
    return reaped


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """In a new child, before it executes its program: requests `number` when the parent dies.

    A `preexec_fn`. Without effect outside Linux; see prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)


def exit_message(status: int | None) -> str:
    """How a process ended, in Lambda's words."""
    if not status:
        return "Error: Runtime exited without providing a reason"
    if status < 0:
        return f"Error: Runtime exited with error: signal: {signal.Signals(-status).name}"
    return f"Error: Runtime exited with error: exit status {status}"


def _zombie_children() -> list[int]:
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for text in task.read_text().split():
                with contextlib.suppress(OSError):
                    # The state follows the command's name, which may contain anything but ")".
                    stat = Path(f"/proc/{text}/stat").read_text(errors="replace")
                    if stat.rpartition(")")[2].split()[:1] == ["Z"]:
                        found.append(int(text))
    return found
