"""Starts, stops and resets an embedded lab."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.local import postgres
from services.local.emulator import LOOPBACK
from services.local.options import LabOptions, default_concurrency
from services.local.state import DEFAULT_ROOT, PROJECT, LabFiles, LabState, LabStatus, alive
from services.local.supervisor import hold_lock
from services.operations.signals import ignore_signals, terminated_like_interrupted
from services.platform.checkout import require_checkout
from services.platform.errors import DarkroomError, PermanentError, TransientError

# Generous: a machine with other work may need half a minute for what takes three seconds.
START_SECONDS = 180
STOP_SECONDS = 120
LEFTOVER_SECONDS = 20
POLL_SECONDS = 0.02


def up(root: Path = DEFAULT_ROOT, options: LabOptions | None = None) -> LabState:
    """Starts a lab and returns when it is ready. A lab that runs already is returned as it is.

    Raises PermanentError when a port or a leftover process is in the way, or when the running lab
    is not as `options` ask for; TransientError when the lab does not become ready; DarkroomError
    outside a checkout.
    """
    require_checkout("the embedded lab")
    options = options or LabOptions(concurrency=default_concurrency())
    files = LabFiles(root)
    state = running(root)
    if state is not None:
        _refuse_other_options(state, options)
        return state
    _refuse_leftovers(files)
    _refuse_ports(options)
    files.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.root.chmod(0o700)
    files.state.unlink(missing_ok=True)
    supervisor_log = files.log("supervisor")
    supervisor_log.touch(mode=0o600)
    with supervisor_log.open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "services.local.supervisor", str(root), options.encode()],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=() if options.lifeline is None else (options.lifeline,),
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
    reason = state.message if state is not None and state.message else "no reason given"
    raise TransientError(f"the lab did not start: {reason}; its logs are in {files.logs}")


def down(root: Path = DEFAULT_ROOT) -> bool:
    """Stops a lab. False if none ran. Raises TransientError when it does not stop in time."""
    files = LabFiles(root)
    if not _held(files):
        return False
    give_up_at = time.monotonic() + STOP_SECONDS
    asked: int | None = None
    while _held(files) or (asked is not None and alive(asked)):
        # A supervisor that has just started may not have written its process id yet.
        state = files.read()
        if asked is None and state is not None and alive(state.pid):
            asked = state.pid
            os.kill(asked, signal.SIGTERM)
        if time.monotonic() > give_up_at:
            raise TransientError(
                f"the lab (process {asked}) did not stop within {STOP_SECONDS} s; see "
                f"{files.logs}, then `kill -9 {asked}`"
            )
        time.sleep(POLL_SECONDS)
    return True


def reset(root: Path = DEFAULT_ROOT) -> bool:
    """Stops the lab if it runs, and removes its data. False if there were none."""
    down(root)
    if not root.exists():
        return False
    shutil.rmtree(postgres.data_folder(LabFiles(root).postgres), ignore_errors=True)
    shutil.rmtree(root)
    return True


def running(root: Path = DEFAULT_ROOT) -> LabState | None:
    """The state of a lab that is ready; None if none is."""
    files = LabFiles(root)
    state = files.read()
    ready = state is not None and state.status is LabStatus.READY and _held(files)
    return state if ready else None


def required() -> LabState:
    """The state of the running lab. Raises DarkroomError if none is."""
    state = running()
    if state is None:
        raise DarkroomError("no lab is running; start one with `darkroom up`")
    return state


@contextmanager
def temporary_lab(
    root: Path = DEFAULT_ROOT, options: LabOptions | None = None
) -> Iterator[LabState]:
    """The running lab; or one that is started here and stopped at the end of the block.

    It stops however this process ends: on an exception, on SIGINT, SIGTERM and SIGHUP, and by its
    lifeline even on SIGKILL.
    """
    state = running(root)
    if state is not None:
        yield state
        return
    read_end, write_end = os.pipe()
    options = options or LabOptions(concurrency=default_concurrency())
    try:
        with terminated_like_interrupted():
            try:
                yield up(root, dataclasses.replace(options, lifeline=read_end))
            finally:
                with ignore_signals():
                    down(root)
    finally:
        os.close(read_end)
        os.close(write_end)


def _held(files: LabFiles) -> bool:
    """Whether a supervisor holds the lab's lock: the one sign that cannot be stale."""
    if not files.lock.exists():
        return False
    lock = hold_lock(files)
    if lock is None:
        return True
    lock.close()
    return False


def _refuse_other_options(state: LabState, options: LabOptions) -> None:
    differences = [
        f"its {name} has port {found or 'none'}, not {wanted}"
        for name, wanted, url in (
            ("AWS endpoint", options.port, state.endpoint),
            ("API", options.api_port, state.api),
        )
        if wanted is not None and (found := url.rpartition(":")[2]) != str(wanted)
    ]
    missing = {feature.value for feature in options.features} - set(state.features)
    if missing and state.features:
        differences.append(f"it runs without {', '.join(sorted(missing))}")
    recipe = state.recipes.get("default", options.recipe)
    if options.recipe != recipe:
        differences.append(f"its recipe is {recipe}, not {options.recipe}")
    if options.keep and not state.kept:
        differences.append("it does not keep its data")
    if differences:
        raise PermanentError(
            f"a lab runs already, and {'; '.join(differences)}; run `darkroom down` first"
        )


def _refuse_leftovers(files: LabFiles) -> None:
    if _held(files):
        raise PermanentError(
            f"a lab is starting or stopping in {files.root}; wait for it, or run `darkroom down`"
        )
    state = files.read()
    if state is None or state.status is not LabStatus.READY:
        return
    # The processes of a killed supervisor end by themselves, within seconds.
    give_up_at = time.monotonic() + LEFTOVER_SECONDS
    while left := [child for child in state.children if alive(child.pid)]:
        if time.monotonic() < give_up_at:
            time.sleep(POLL_SECONDS)
            continue
        names = ", ".join(f"{child.name} (process {child.pid})" for child in left)
        raise PermanentError(
            f"an earlier lab ended without stopping its processes: {names}; end them with "
            f"`kill {' '.join(str(child.pid) for child in left)}`, then try again"
        )


def _refuse_ports(options: LabOptions) -> None:
    if options.port is not None and options.port == options.api_port:
        raise PermanentError(
            f"--port and --api-port are both {options.port}; they need different ports"
        )
    for option, wanted in (("--port", options.port), ("--api-port", options.api_port)):
        if wanted is not None and _taken(wanted):
            raise PermanentError(
                f"port {wanted} is taken by another program; choose another with {option}, or "
                "leave it out to get a free one"
            )


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return False
    return True
