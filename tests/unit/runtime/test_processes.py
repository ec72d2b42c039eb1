from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.processes import ChildProcess, exit_message
from tests.support.waiting import scaled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def null() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


def start(code: str, null: int, *inherited: int) -> ChildProcess:
    return ChildProcess(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, inherited)],
        folder=ROOT,
        variables=os.environ,
        output=null,
        inherited=inherited,
    )


def test_process_that_exits_leaves_no_children(null: int) -> None:
    read_end, write_end = os.pipe()
    code = """
        import os, subprocess, sys
        child = subprocess.Popen(["sleep", "60"])
        os.write(int(sys.argv[1]), b"%d" % child.pid)
        os._exit(3)
    """
    process = start(code, null, write_end)
    child = int(os.read(read_end, 20))
    assert process.wait(scaled(10)) == 3
    give_up_at = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < give_up_at, f"child {child} is alive"
        time.sleep(0.01)
    process.close()
    os.close(read_end)
    os.close(write_end)


def test_wait_while_the_process_runs_returns_none(null: int) -> None:
    process = start("import time; time.sleep(60)", null)
    assert process.wait(0.05) is None
    assert not process.ended()
    process.signal(signal.SIGKILL)
    assert process.wait(scaled(10)) == -signal.SIGKILL
    assert process.ended()
    process.signal(signal.SIGKILL)  # no effect: the number may belong to another process
    process.close()


def test_reap_orphans_reaps_adopted_processes_and_leaves_children() -> None:
    code = """
        import ctypes, os, subprocess, sys, time
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER, as PID 1 of a container
        from services.runtime import processes
        from tests.support.waiting import scaled
        null = os.open(os.devnull, os.O_WRONLY)
        own = processes.ChildProcess(["true"], folder=".", variables=os.environ, output=null,
                                     inherited=())
        subprocess.run(["sh", "-c", "true & exit 0"], check=True)
        reaped, give_up_at = 0, time.monotonic() + 10
        while not reaped and time.monotonic() < give_up_at:
            reaped += processes.reap_orphans()
            time.sleep(0.01)
        assert reaped == 1, reaped
        assert own.wait(scaled(10)) == 0
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=scaled(60),
    )
    assert ended.returncode == 0, ended.stderr.decode()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (None, "without providing a reason"),
        (0, "without providing a reason"),
        (3, "exit status 3"),
        (-9, "signal: SIGKILL"),
    ],
)
def test_exit_message_names_the_status(status: int | None, message: str) -> None:
    assert message in exit_message(status)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
