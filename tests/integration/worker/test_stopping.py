"""How a worker stops, is stopped by force, or is killed, and what becomes of its messages."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from services.runtime.exit_codes import ExitCode
from tests.integration.worker.conftest import Start
from tests.integration.worker.support import Queues
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

SLOW = """
    import time
    def handler(event, context):
        print("working", flush=True)
        time.sleep(2)
        print("worked", flush=True)
"""


def test_sigterm_lets_the_batch_finish_and_be_deleted(start: Start, queues: Queues) -> None:
    queues.send("one")
    with start(SLOW) as worker:
        worker.await_event("working")
        worker.terminate()
        assert worker.exit_code() == ExitCode.DRAINED
        worker.events("worked")
    assert len(worker.events("worked")) == 1
    assert queues.empty()


def test_a_second_sigterm_hands_the_unfinished_back(start: Start, queues: Queues) -> None:
    queues.send("one", "two")
    with start(SLOW.replace("sleep(2)", "sleep(900)"), batch_size=2, timeout_seconds=900) as worker:
        worker.await_event("working")
        worker.terminate()
        worker.await_event("drain_started")
        worker.terminate()
        assert worker.exit_code() == ExitCode.UNFINISHED
    assert queues.counts() == (2, 0), "visible to others at once"
    assert queues.dead() == [], "stopping is no failure of a message"


def test_the_drain_timeout_hands_the_unfinished_back(start: Start, queues: Queues) -> None:
    queues.send("one")
    with start(
        SLOW.replace("sleep(2)", "sleep(900)"), timeout_seconds=900, WORKER_DRAIN_SECONDS=1
    ) as worker:
        worker.await_event("working")
        worker.terminate()
        assert worker.exit_code() == ExitCode.UNFINISHED
    assert queues.counts() == (1, 0)


def test_the_last_poll_ends_and_what_it_brings_is_handed_back(start: Start, queues: Queues) -> None:
    with start(SLOW, WORKER_POLL_WAIT_SECONDS=5) as worker:
        time.sleep(0.5)
        worker.terminate()
        worker.await_event("drain_started")
        queues.send("late")
        (handed_back,) = worker.await_event("messages_handed_back")
        assert worker.exit_code() == ExitCode.DRAINED
    assert handed_back["messages"] == 1
    assert queues.counts() == (1, 0)
    assert worker.events("working") == []


def test_an_orphan_finishes_what_it_has_and_its_message_comes_back(
    start: Start, queues: Queues, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    queues.send("one")
    with start(
        f"""
        import pathlib, time
        def handler(event, context):
            print("working", flush=True)
            ends = time.monotonic() + 2
            while time.monotonic() < ends:
                print("x" * 200_000)  # no reader is left: it must neither fail nor block
            pathlib.Path({str(done)!r}).touch()
        """,
        WORKER_VISIBILITY_SECONDS=4,
    ) as worker:
        (environment,) = worker.await_event("environment_started")
        worker.await_event("working")
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
        assert not done.exists()
        eventually(done.exists, "the orphan finishes its invocation")
        eventually(lambda: not _exists(environment["pid"]), "then it ends")
        eventually(lambda: queues.counts() == (1, 0), "the message is back after its lease")


def test_a_hung_orphan_ends_at_its_deadline(start: Start, queues: Queues) -> None:
    queues.send("one")
    with start(
        """
        def handler(event, context):
            print("working", flush=True)
            while True: pass
        """,
        timeout_seconds=4,
    ) as worker:
        (environment,) = worker.await_event("environment_started")
        worker.await_event("working")
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
        time.sleep(1)
        assert _exists(environment["pid"]), "it has until its deadline"
        eventually(lambda: not _exists(environment["pid"]), "it ends by itself")


def test_an_idle_orphan_ends_at_once(start: Start, queues: Queues) -> None:
    with start("def handler(event, context): pass") as worker:
        (environment,) = worker.await_event("environment_started")
        worker.process.send_signal(signal.SIGKILL)
        worker.process.wait()
        eventually(lambda: not _exists(environment["pid"]), "it ends", 4)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # The process that adopts an orphan may reap it late.
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
