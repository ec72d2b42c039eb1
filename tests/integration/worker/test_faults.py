"""A queue whose responses are refused or malformed, by a proxy before the emulator."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.local import emulator as emulators
from tests.integration.worker.conftest import Start
from tests.integration.worker.support import Queues
from tests.support.loopback import Received, Reply, forward, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

SUCCEED = "def handler(event, context): return {'batchItemFailures': []}\n"
DENIED = Reply(403, {"__type": "com.amazonaws.sqs#AccessDeniedException", "message": "denied"})


def operation(request: Received) -> str:
    return request.headers.get("x-amz-target", "").rpartition(".")[2]


def test_worker_whose_deletes_are_refused_is_unhealthy_and_reports_it(
    start: Start, queues: Queues, emulator: emulators.Emulator, tmp_path: Path
) -> None:
    refusing = [True]

    def respond(request: Received) -> Reply:
        if refusing[0] and operation(request) == "DeleteMessageBatch":
            return DENIED
        return forward(emulator.endpoint, request)

    health_file, status_file = tmp_path / "health", tmp_path / "status.json"

    def touched() -> bool:
        health_file.unlink(missing_ok=True)
        time.sleep(2.5)
        return health_file.exists()

    def entry() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(status_file.read_text())["functions"]["tested-function"]
        return found

    with (
        serving(respond) as proxy,
        start(
            SUCCEED,
            endpoint=proxy.url,
            WORKER_HEALTH_FILE=health_file,
            WORKER_STATUS_FILE=status_file,
        ) as worker,
    ):
        assert touched()
        queues.send("a")
        (refused,) = worker.await_event("queue_refused")
        assert refused["operation"] == "delete"
        eventually(lambda: "AccessDenied" in entry()["queue_error"], "the status names the error")
        assert not touched()
        refusing[0] = False
        eventually(queues.empty, "the message is deleted, not processed again")
        worker.await_event("queue_recovered")
        eventually(lambda: entry()["queue_error"] == "", "the status shows no error")
        assert touched()
        assert len(worker.events("report")) == 1


def test_worker_replaces_trace_headers_that_are_not_valid(
    start: Start, queues: Queues, emulator: emulators.Emulator
) -> None:
    headers = ["Root=1\r\nLambda-Runtime-Deadline-Ms: 1", "\ud800", "Root=1-5-6;Sampled=1"]

    def respond(request: Received) -> Reply:
        reply = forward(emulator.endpoint, request)
        document = json.loads(reply.body) if operation(request) == "ReceiveMessage" else {}
        for message in document.get("Messages", []):
            message["Attributes"]["AWSTraceHeader"] = headers[int(message["Body"])]
        return Reply(reply.status, json.dumps(document).encode()) if document else reply

    handler = """
        import os
        def handler(event, context):
            print("trace " + os.environ["_X_AMZN_TRACE_ID"], flush=True)
            assert context.get_remaining_time_in_millis() > 1000
    """
    with serving(respond) as proxy, start(handler, endpoint=proxy.url) as worker:
        for number in range(3):
            queues.send(str(number))
            eventually(queues.empty, "the message is processed")
        assert [line["outcome"] for line in worker.reports(3)] == ["success"] * 3
        traces = [e["event"] for e in worker.lines() if str(e["event"]).startswith("trace ")]
        assert all(trace.startswith("trace Root=1-") for trace in traces)
        assert traces[2] == "trace Root=1-5-6;Sampled=1"
        assert worker.process.poll() is None


def test_worker_whose_handler_crashes_with_children_leaves_no_process(
    start: Start, queues: Queues
) -> None:
    handler = """
        import os, subprocess
        def handler(event, context):
            child = subprocess.Popen(["sleep", "300"])
            print("child %d" % child.pid, flush=True)
            os._exit(1)
    """
    with start(handler) as worker:
        queues.send(*(str(n) for n in range(4)))
        worker.reports(4)
        children = [
            int(str(line["event"]).removeprefix("child "))
            for line in worker.lines()
            if str(line["event"]).startswith("child ")
        ]
        assert len(children) >= 4
        for child in children:
            eventually(partial(_ended, child), f"child {child} has ended")


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
