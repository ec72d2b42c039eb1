"""The report of a running lab, from its files and from an emulator that answers or not."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local import status
from services.local.provision import FunctionQueue
from services.local.state import ChildState, LabFiles, LabState, LabStatus
from tests.support.waiting import scaled

QUEUE = FunctionQueue("http://127.0.0.1:1/q", "arn", "http://127.0.0.1:1/d", "arn")


@pytest.fixture
def files(tmp_path: Path) -> LabFiles:
    return LabFiles(tmp_path)


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """A server that takes connections and never answers, like an emulator that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def state(**fields: object) -> LabState:
    return dataclasses.replace(LabState(LabStatus.READY, pid=1), **fields)  # type: ignore[arg-type]


def test_report_emulator_hangs_answers_in_time_and_says_so(
    files: LabFiles, silent_endpoint: str
) -> None:
    queue = dataclasses.replace(QUEUE, url=f"{silent_endpoint}/q")
    began = time.monotonic()
    found = status.report(
        state(
            endpoint=silent_endpoint,
            queues={"f": queue},
            children=(ChildState("worker", os.getpid(), 0, "worker.log"),),
        ),
        files,
    )
    assert time.monotonic() - began < status.ANSWER_SECONDS + scaled(5)
    assert found.queues is None
    assert any("does not answer" in problem for problem in found.problems)
    assert [process.running for process in found.processes] == [True]


def test_report_function_that_cannot_start_is_a_problem_with_its_reason(files: LabFiles) -> None:
    item = {
        "environments": 0, "busy": 0, "invocations": 0, "failures": 3, "init_failures": 3,
        "last_error": "ImportError: no module named x", "last_error_at": "2026-03-01T12:00:00Z",
        "queue_error": "", "unknown": 1,
    }  # fmt: skip
    files.host_status("worker").write_text(json.dumps({"functions": {"process-image": item}}))
    found = status.report(state(), files)
    assert found.functions["process-image"].init_failures == 3
    assert any(
        "process-image cannot start" in problem and "ImportError" in problem
        for problem in found.problems
    )


def test_report_adds_up_the_workers_of_a_function(files: LabFiles) -> None:
    for number, failed_at in ((1, "2026-03-01T12:00:01Z"), (2, "2026-03-01T12:00:00Z")):
        item = {"environments": 1, "invocations": 5, "last_error": f"error {number}",
                "last_error_at": failed_at}  # fmt: skip
        files.host_status(f"worker-{number}").write_text(json.dumps({"functions": {"f": item}}))
    found = status.report(state(), files).functions["f"]
    assert (found.environments, found.invocations, found.last_error) == (2, 10, "error 1")


def test_report_half_written_status_file_is_left_out(files: LabFiles) -> None:
    files.host_status("worker").write_text('{"functions": {"f"')
    assert status.report(state(), files).functions == {}


def test_report_ended_process_is_a_problem_with_its_reason(files: LabFiles) -> None:
    ended = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(ended, 0)
    child = ChildState("gateway", ended, 4, "gateway.log", "ended with code 3")
    found = status.report(state(children=(child,)), files)
    assert "gateway is being restarted: ended with code 3; see gateway.log" in found.problems


def test_report_full_disk_is_a_problem(files: LabFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(files.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=0))
    assert any("is full" in problem for problem in status.report(state(), files).problems)


def test_report_says_when_kept_data_were_saved(files: LabFiles) -> None:
    assert "in memory" in status.report(state(), files).data
    assert "not saved yet" in status.report(state(kept=True), files).data
    (files.cloud / "state").mkdir(parents=True)
    saved = files.cloud / "state" / "sqs.json"
    saved.touch()
    os.utime(saved, (1_772_366_400, 1_772_366_400))
    assert "saved at 2026-03-01T12:00:00Z" in status.report(state(kept=True), files).data
