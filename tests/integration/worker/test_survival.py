"""A worker survives environments that crash, leak, hang or print much, and a deleted queue."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.local import emulator as emulators
from tests.integration.worker.conftest import Start
from tests.integration.worker.support import Queues
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

# Each of these handlers misbehaves on the message "bad" and works on any other.


def test_an_environment_that_exits_costs_one_invocation(start: Start, queues: Queues) -> None:
    queues.send("bad")
    with start(
        """
        import os
        def handler(event, context):
            if event["Records"][0]["body"] == "bad": os._exit(7)
        """
    ) as worker:
        reports = worker.reports(3)
        queues.send("good")
        last = worker.reports(4)[3]
        (dead,) = eventually(queues.dead, "a dead letter")
        eventually(queues.empty, "nothing is left")
    assert [report["outcome"] for report in reports] == ["exit"] * 3
    assert all(report["error_type"] == "Runtime.ExitError" for report in reports)
    assert all("exit status 7" in report["error_message"] for report in reports)
    assert last["outcome"] == "success"
    assert last["cold"] is True
    assert dead["MessageAttributes"]["error_type"]["StringValue"] == "Runtime.ExitError"


def test_an_environment_killed_from_outside_is_replaced(start: Start, queues: Queues) -> None:
    queues.send("slow")
    with start(
        """
        import os, time
        def handler(event, context):
            if event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1":
                print("working", flush=True)
                time.sleep(30)
        """,
        timeout_seconds=40,
    ) as worker:
        (environment,) = worker.await_event("environment_started")
        worker.await_event("working")
        os.kill(environment["pid"], signal.SIGKILL)
        reports = worker.reports(2)
        eventually(queues.empty, "the second receive did it")
    assert [report["outcome"] for report in reports] == ["exit", "success"]
    assert "SIGKILL" in reports[0]["error_message"]


def test_an_idle_environment_that_is_killed_burns_no_receive(start: Start, queues: Queues) -> None:
    with start(
        """
        def handler(event, context):
            print("receive " + event["Records"][0]["attributes"]["ApproximateReceiveCount"])
        """
    ) as worker:
        (environment,) = worker.await_event("environment_started")
        os.kill(environment["pid"], signal.SIGKILL)
        worker.await_event("environment_started", 2)
        queues.send("one")
        worker.await_event("receive 1")
        (report,) = worker.reports()
    assert report["outcome"] == "success"


def test_a_leak_ends_at_the_memory_limit(start: Start, queues: Queues) -> None:
    queues.send("bad")
    with start(
        """
        import time
        def handler(event, context):
            if event["Records"][0]["body"] == "good": return
            kept = []
            while True:
                kept.append(bytearray(b"x") * 4_000_000)
                time.sleep(0.01)
        """,
        memory_mib=128,
        max_receive_count=1,
    ) as worker:
        (report,) = worker.reports()
        queues.send("good")
        (_, good) = worker.reports(2)
        (dead,) = eventually(queues.dead, "a dead letter")
    assert report["outcome"] == "memory"
    assert report["error_type"] == "Runtime.ExitError"
    assert "memory limit of 128 MiB" in report["error_message"]
    assert 128 < report["max_memory_used_mib"] < 256
    assert good["outcome"] == "success"
    assert good["max_memory_used_mib"] < 128
    assert "memory limit" in dead["MessageAttributes"]["reason"]["StringValue"]


def test_a_runaway_allocation_between_two_looks_is_refused(start: Start, queues: Queues) -> None:
    queues.send("bad")
    with start(
        """
        def handler(event, context):
            bytearray(b"x") * (3 * 1024**3)
        """,
        memory_mib=128,
        max_receive_count=1,
    ) as worker:
        (report,) = worker.reports()
    assert (report["outcome"], report["error_type"]) == ("error", "MemoryError")
    assert report["max_memory_used_mib"] < 128


def test_the_peak_is_each_invocations_own(start: Start, queues: Queues) -> None:
    with start(
        """
        def handler(event, context):
            size = int(event["Records"][0]["body"])
            data = bytearray(b"x") * (size * 1024 * 1024)
            del data
        """,
        memory_mib=512,
    ) as worker:
        queues.send("150")
        worker.reports(1)
        queues.send("1")
        big, small = worker.reports(2)
    assert 150 <= big["max_memory_used_mib"] < 250
    assert small["max_memory_used_mib"] < 100
    assert "init_duration_ms" in big
    assert small["cold"] is False
    assert "init_duration_ms" not in small


def test_a_hang_ends_at_the_deadline(start: Start, queues: Queues) -> None:
    queues.send("bad")
    with start(
        """
        import subprocess, time
        def handler(event, context):
            if event["Records"][0]["body"] == "good": return
            child = subprocess.Popen(["sleep", "1000"])
            print("child %d" % child.pid, flush=True)
            while True: pass
        """,
        timeout_seconds=1,
        max_receive_count=1,
    ) as worker:
        (report,) = worker.reports()
        queues.send("good")
        (_, good) = worker.reports(2)
        (dead,) = eventually(queues.dead, "a dead letter")
        (child,) = [int(e["event"][6:]) for e in worker.lines() if e["event"].startswith("child")]
        eventually(lambda: not _running(child), "what the handler started is gone too")
    assert report["outcome"] == "timeout"
    assert report["error_message"].endswith("Task timed out after 1.00 seconds")
    assert report["duration_ms"] >= 1000
    assert good["outcome"] == "success"
    assert dead["MessageAttributes"]["error_type"]["StringValue"] == "Sandbox.Timedout"


def test_printing_without_end_neither_blocks_nor_fills(start: Start, queues: Queues) -> None:
    megabytes = 200
    queues.send("bad", "good")
    with start(
        f"""
        import sys
        def handler(event, context):
            if event["Records"][0]["body"] == "good": return
            line = "x" * 999 + "\\n"
            for _ in range({megabytes}):
                sys.stdout.write(line * 1000)
            sys.stdout.write("y" * 50_000_000)
            sys.stdout.write("\\nthe end\\n")
        """,
        timeout_seconds=20,
    ) as worker:
        reports = worker.reports(2)
        dropped = worker.await_event("output_dropped")
        peak_kib = _status(worker.process.pid, "VmHWM")
        eventually(queues.empty, "both are done")
    assert [report["outcome"] for report in reports] == ["success"] * 2
    assert worker.log_file.stat().st_size < 40_000_000
    assert peak_kib < 120 * 1024
    assert sum(line["bytes"] for line in dropped) > megabytes * 500_000


def test_an_init_error_is_told_and_backs_off_without_receiving(
    start: Start, queues: Queues, tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    queues.send("patient")
    with start(
        f"""
        import pathlib
        if not pathlib.Path({str(mended)!r}).exists():
            raise LookupError("no configuration")
        def handler(event, context):
            print("receive " + event["Records"][0]["attributes"]["ApproximateReceiveCount"])
        """,
        await_start=False,
    ) as worker:
        first, second = worker.await_event("init_failed", 2)
        assert first["error_type"] == "LookupError"
        assert first["reason"] == "no configuration"
        assert second["next_try_seconds"] >= 1.0
        assert queues.counts() == (1, 0), "nothing is received while nothing can start"
        mended.touch()
        worker.await_event("receive 1")


def test_a_message_that_meets_no_environment_is_handed_back(
    start: Start, queues: Queues, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    with start(
        f"""
        import pathlib
        if pathlib.Path({str(broken)!r}).exists():
            raise LookupError("broken since")
        def handler(event, context): pass
        """,
        WORKER_POLL_WAIT_SECONDS=10,
    ) as worker:
        (environment,) = worker.await_event("environment_started")
        time.sleep(0.5)  # now it polls
        broken.touch()
        os.kill(environment["pid"], signal.SIGKILL)
        queues.send("early")
        worker.await_event("messages_handed_back")
        eventually(lambda: queues.counts() == (1, 0), "it is there for others")
        broken.unlink()
        worker.reports(1)
        eventually(queues.empty, "it is done in the end")


def test_an_init_that_hangs_is_given_up(start: Start, queues: Queues) -> None:
    with start(
        """
        import time
        time.sleep(60)
        """,
        await_start=False,
        WORKER_INIT_SECONDS=1,
    ) as worker:
        (failed,) = worker.await_event("init_failed")
        worker.terminate()
        assert worker.exit_code() == 0
    assert "Init timed out after 1 seconds" in failed["reason"]


def test_a_heartbeat_keeps_a_slow_message_from_others(start: Start, queues: Queues) -> None:
    queues.send("slow")
    with start(
        """
        import time
        def handler(event, context): time.sleep(6)
        """,
        WORKER_VISIBILITY_SECONDS=3,
        WORKER_CONCURRENCY=2,
    ) as worker:
        worker.await_event("environment_started", 2)
        (report,) = worker.reports()
        eventually(queues.empty, "the message is deleted")
    assert len(worker.reports()) == 1, "the other environment never saw it"
    assert report["duration_ms"] >= 6000


def test_a_stale_receipt_is_logged_and_not_fatal(start: Start, queues: Queues) -> None:
    queues.send("taken")
    with start(
        """
        import time
        def handler(event, context):
            print("working", flush=True)
            if event["Records"][0]["body"] == "taken": time.sleep(2)
        """,
    ) as worker:
        worker.await_event("working")
        queues.sqs.purge_queue(QueueUrl=queues.url)
        worker.reports(1)
        (stale,) = worker.await_event("receipt_stale")
        queues.send("next")
        reports = worker.reports(2)
        eventually(queues.empty, "the next one is done")
    assert len(stale["message_ids"]) == 1
    assert [report["outcome"] for report in reports] == ["success"] * 2


class Proxy:
    """A TCP proxy before the emulator that can be cut: connections end, new ones are refused."""

    def __init__(self, endpoint: str) -> None:
        target = urlsplit(endpoint)
        self._target = (target.hostname or "", target.port or 0)
        self._listener = self._listen(0)
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()
        return listener

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def cut(self) -> None:
        """Closes the listener and all connections."""
        self._end(self._listener)
        for sock in self._sockets:
            self._end(sock)
        self._sockets.clear()

    def mend(self) -> None:
        self._listener = self._listen(self.port)

    @staticmethod
    def _end(sock: socket.socket) -> None:
        # Only a shutdown wakes a thread that is in accept or recv.
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            sock.close()


@pytest.fixture
def proxy(emulator: emulators.Emulator) -> Iterator[Proxy]:
    between = Proxy(emulator.endpoint)
    yield between
    between.cut()


def test_a_queue_service_that_goes_and_comes_back(
    start: Start, queues: Queues, proxy: Proxy
) -> None:
    queues.send("before")
    with start(
        """
        import time
        def handler(event, context):
            print("working on " + event["Records"][0]["body"], flush=True)
            if event["Records"][0]["body"] == "before": time.sleep(2)
        """,
        endpoint=f"http://127.0.0.1:{proxy.port}",
        WORKER_VISIBILITY_SECONDS=60,  # no heartbeat in the gap, which would be a third operation
    ) as worker:
        worker.await_event("working on before")
        proxy.cut()
        # The invocation ends while the queue is away: its deletion has to wait.
        worker.reports(1)
        time.sleep(5)
        assert worker.process.poll() is None
        assert queues.counts() == (0, 1)
        queues.send("after")
        proxy.mend()
        worker.await_event("working on after")
        eventually(queues.empty, "the first was deleted, not done again")
    away = [line["operation"] for line in worker.events("queue_unavailable")]
    assert sorted(away) == ["delete", "receive"], "one line for each change, not for each try"
    assert sorted(line["operation"] for line in worker.events("queue_recovered")) == sorted(away)
    assert [r["outcome"] for r in worker.events("report")] == ["success"] * 2


def _running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError(f"no {name}")
