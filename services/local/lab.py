"""Starts, stops and describes an embedded lab."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.local.emulator import LOOPBACK
from services.local.state import (
    DEFAULT_ROOT,
    PROJECT,
    LabFiles,
    LabState,
    LabStatus,
    alive,
)
from services.local.supervisor import hold_lock
from services.platform.errors import PermanentError, TransientError

START_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.05


def default_concurrency() -> int:
    """Execution environments a function: developing is CPU work, so one a core."""
    return max(1, os.cpu_count() or 1)


def up(
    root: Path = DEFAULT_ROOT,
    port: int | None = None,
    workers: int = 1,
    concurrency: int | None = None,
    api_port: int | None = None,
) -> LabState:
    """Starts a lab and returns when it is ready; a lab that runs already is returned as it is.

    Every function gets `workers` processes of `concurrency` execution environments each.

    Raises PermanentError when a port or a leftover is in the way, TransientError when the lab does
    not become ready.
    """
    files = LabFiles(root)
    state = running(root)
    if state is not None:
        return state
    _refuse_leftovers(files)
    for option, wanted in (("--port", port), ("--api-port", api_port)):
        if wanted is not None and _taken(wanted):
            raise PermanentError(
                f"port {wanted} is taken by another program; choose another with {option}, or "
                "leave it out to get a free one"
            )
    files.logs.mkdir(parents=True, exist_ok=True)
    files.state.unlink(missing_ok=True)
    command = [sys.executable, "-m", "services.local.supervisor", str(root)]
    command += ["--workers", str(workers)]
    command += ["--concurrency", str(concurrency or default_concurrency())]
    command += ["--port", str(port)] if port is not None else []
    command += ["--api-port", str(api_port)] if api_port is not None else []
    with files.log("supervisor").open("ab") as log:
        subprocess.run(
            command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
            timeout=START_SECONDS,
        )
    give_up_at = time.monotonic() + START_SECONDS
    while _held(files) and time.monotonic() < give_up_at:
        state = files.read()
        if state is not None and state.status is LabStatus.READY:
            return state
        time.sleep(POLL_SECONDS)
    down(root)
    state = files.read()
    reason = state.message if state is not None and state.message else "it gave no reason"
    raise TransientError(f"the lab did not start: {reason}; its logs are in {files.logs}")


def down(root: Path = DEFAULT_ROOT) -> bool:
    """Stops a lab; False when none ran. Raises TransientError when it does not stop in time."""
    files = LabFiles(root)
    state = files.read()
    if state is None or not _held(files):
        return False
    os.kill(state.pid, signal.SIGTERM)
    give_up_at = time.monotonic() + STOP_SECONDS
    while _held(files) or alive(state.pid):
        if time.monotonic() > give_up_at:
            raise TransientError(
                f"the lab (process {state.pid}) did not stop within {STOP_SECONDS} s; see "
                f"{files.logs}, then `kill -9 {state.pid}`"
            )
        time.sleep(POLL_SECONDS)
    return True


def running(root: Path = DEFAULT_ROOT) -> LabState | None:
    """The state of a lab that is ready; None where none is."""
    files = LabFiles(root)
    state = files.read()
    ready = state is not None and state.status is LabStatus.READY and _held(files)
    return state if ready else None


@contextmanager
def lab_for_the_occasion(root: Path = DEFAULT_ROOT) -> Iterator[LabState]:
    """The running lab; or one that is started here, and stopped at the end of the block."""
    state = running(root)
    if state is not None:
        yield state
        return
    state = up(root)
    try:
        yield state
    finally:
        down(root)


def _held(files: LabFiles) -> bool:
    """Whether a supervisor holds the lab's lock: the one sign that cannot be stale."""
    if not files.lock.exists():
        return False
    lock = hold_lock(files)
    if lock is None:
        return True
    lock.close()
    return False


def _refuse_leftovers(files: LabFiles) -> None:
    if _held(files):
        raise PermanentError(
            f"a lab is just starting or stopping in {files.root}; wait for it, or `darkroom down`"
        )
    state = files.read()
    left = [child for child in state.children if alive(child.pid)] if state else []
    if state is not None and state.status is LabStatus.READY and left:
        names = ", ".join(f"{child.name} (process {child.pid})" for child in left)
        raise PermanentError(
            f"the lab before ended without stopping its processes: {names}; end them with "
            f"`kill {' '.join(str(child.pid) for child in left)}`, then try again"
        )


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
