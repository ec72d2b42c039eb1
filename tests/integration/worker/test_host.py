"""One process that hosts several functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.local import emulator as emulators
from services.local.emulator import aws_environment
from tests.integration.worker.support import (
    ROOT,
    Queues,
    RunningWorker,
    client,
    make_queues,
    write_function,
)
from tests.support.waiting import eventually, scaled

SUCCEED = "def handler(event, context): return {'batchItemFailures': []}\n"
EXIT = "import os\ndef handler(event, context): os._exit(3)\n"
BROKEN = "raise RuntimeError('broken import')\n"
SLEEP = "import time\ndef handler(event, context): time.sleep(1)\n"

StartHost = Callable[..., AbstractContextManager[tuple[RunningWorker, dict[str, Queues]]]]


@pytest.fixture
def start_host(
    emulator: emulators.Emulator, tmp_path: Path, request: pytest.FixtureRequest
) -> StartHost:
    """Starts a host: `with start_host({"name": handler}, environments=2) as (host, queues):`."""

    @contextmanager
    def started(
        handlers: dict[str, str],
        concurrency: dict[str, int] | None = None,
        environment: dict[str, dict[str, str]] | None = None,
        max_receive_count: int = 3,
        **settings: Any,
    ) -> Iterator[tuple[RunningWorker, dict[str, Queues]]]:
        sqs = client(emulator.endpoint)
        prefix = f"{request.node.name[:40]}-{os.getpid()}".replace("[", "-").replace("]", "-")
        queues = {n: make_queues(sqs, f"{prefix}-{n}", max_receive_count) for n in handlers}
        functions = [
            {
                "folder": str(
                    write_function(tmp_path / n, handler, max_receive_count=max_receive_count)
                ),
                "queue_url": queues[n].url,
                "dead_letter_queue_url": queues[n].dead_url,
                "concurrency": (concurrency or {}).get(n, 1),
                "environment": (environment or {}).get(n, {}),
            }
            for n, handler in handlers.items()
        ]
        plan = tmp_path / "host.json"
        document = {"poll_wait_seconds": 1, "status_file": str(tmp_path / "status.json")}
        plan.write_text(json.dumps({**document, **settings, "functions": functions}))
        log_file = tmp_path / "host.log"
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.worker", "--host", str(plan)],
                cwd=ROOT,
                env={
                    **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                    **aws_environment(emulator.endpoint),
                    "WORKER_BACKOFF_BASE_SECONDS": "0",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        host = RunningWorker(process, log_file)
        try:
            host.await_event("worker_started")
            yield host, queues
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(scaled(10))
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()

    return started


def reports(host: RunningWorker, function: str) -> list[dict[str, Any]]:
    return [line for line in host.events("report") if line["function"] == function]


def status(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "status.json").read_text())
    assert isinstance(document, dict)
    return document


def test_host_starts_environments_with_the_first_message_and_closes_idle_ones(
    start_host: StartHost, tmp_path: Path
) -> None:
    handlers = {"first": SUCCEED, "second": SUCCEED}
    with start_host(handlers, idle_seconds=1) as (host, queues):
        assert host.events("environment_started") == []
        queues["first"].send("a")
        (started,) = host.await_event("environment_started")
        assert started["function"] == "first"
        eventually(queues["first"].empty, "the message is deleted")
        process = Path(f"/proc/{started['pid']}")
        eventually(lambda: not process.exists(), "the idle environment is closed")
        eventually(
            lambda: status(tmp_path)["functions"]["first"]["environments"] == 0,
            "the status shows no environment",
        )
        queues["first"].send("b")
        host.await_event("environment_started", 2)
        eventually(queues["first"].empty, "the message is deleted")
        host.terminate()
        assert host.exit_code() == 0


def test_host_with_fewer_environments_than_functions_processes_all(start_host: StartHost) -> None:
    handlers = dict.fromkeys(("one", "two", "three"), SUCCEED)
    with start_host(handlers, environments=1) as (host, queues):
        for _ in range(2):
            for each in queues.values():
                each.send("a")
            for each in queues.values():
                eventually(each.empty, "the messages are deleted")
        living = {line["pid"] for line in host.events("environment_started")}
        assert sum(Path(f"/proc/{pid}").exists() for pid in living) <= 1


def test_host_with_one_function_that_crashes_processes_the_others(
    start_host: StartHost, tmp_path: Path
) -> None:
    handlers = {"exits": EXIT, "broken": BROKEN, "works": SUCCEED}
    with start_host(handlers, environments=2, max_receive_count=50) as (host, queues):
        queues["exits"].send(*("a" for _ in range(5)))
        queues["broken"].send("a")
        host.await_event("init_failed", 2)
        for _ in range(10):
            queues["works"].send("a")
            eventually(queues["works"].empty, "the message is deleted", 5)
        assert len(reports(host, "works")) == 10
        found = eventually(
            lambda: (s := status(tmp_path)["functions"])["broken"]["init_failures"] >= 2 and s,
            "the status shows the failed starts",
        )
        assert "broken import" in found["broken"]["last_error"]
        assert found["exits"]["failures"] >= 1
        assert found["works"]["init_failures"] == found["works"]["failures"] == 0
        # Of the broken function no message is received while it cannot start.
        (message,) = queues["broken"].sqs.receive_message(
            QueueUrl=queues["broken"].url,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            WaitTimeSeconds=2,
        )["Messages"]
        assert message["Attributes"]["ApproximateReceiveCount"] == "2"


def test_host_with_concurrency_processes_messages_at_the_same_time(start_host: StartHost) -> None:
    with start_host({"slow": SLEEP}, {"slow": 3}, environments=3) as (host, queues):
        queues["slow"].send(*("a" for _ in range(9)))
        eventually(queues["slow"].empty, "the messages are deleted")
        assert len(host.events("environment_started")) == 3


def test_host_passes_each_function_its_own_environment(start_host: StartHost) -> None:
    show = "import os\ndef handler(event, context): print(os.environ.get('COLOUR'))\n"
    environment = {"first": {"COLOUR": "red"}, "second": {"COLOUR": "blue"}}
    with start_host({"first": show, "second": show}, environment=environment) as (host, queues):
        for each in queues.values():
            each.send("a")
        host.reports(2)
        printed = {
            line["function"]: line["event"]
            for line in host.lines()
            if line["event"] in ("red", "blue")
        }
        assert printed == {"first": "red", "second": "blue"}


def test_host_on_second_signal_hands_messages_back(start_host: StartHost) -> None:
    stuck = "import time\ndef handler(event, context): time.sleep(60)\n"
    handlers = {"stuck": stuck, "idle": SUCCEED}
    with start_host(handlers, poll_wait_seconds=20) as (host, queues):
        queues["stuck"].send("a")
        host.await_event("environment_started")
        eventually(lambda: queues["stuck"].counts() == (0, 1), "the message is in flight")
        host.terminate()
        host.await_event("drain_started")
        host.terminate()
        assert host.exit_code() == 3
        eventually(lambda: queues["stuck"].counts() == (1, 0), "the message is back")


def test_host_with_invalid_plan_reports_every_mistake(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"environments": 0, "functions": [{"folder": "x", "queue_url": "y"}], "z": 1}')
    ended = subprocess.run(
        [sys.executable, "-m", "services.worker", "--host", str(plan)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=scaled(60),
        env={"PATH": os.environ["PATH"]},
    )
    assert ended.returncode == 2
    text = ended.stdout.decode()
    for expected in ("environments must be", "z is not a known", "functions[0].queue_url must be"):
        assert expected in text
