"""The workflow-task wrapper with a state machine and a queue of the emulator."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from services.local.aws_session import LocalSession
from services.local.emulator import Emulator
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.task import Task, workflow_task
from tests.support.at_once import at_once
from tests.support.waiting import eventually

Work = Callable[[Mapping[str, Any], Task], Any]
LAST_RECEIVE = 5
PATIENCE_SECONDS = 10
TASK_SECONDS = 1


class NoPaper(PermanentError):  # noqa: N818  as the errors of tasks are named
    pass


class Context:
    aws_request_id = "request-1"
    function_name = "work"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@dataclass
class Workflow:
    """A state machine with one task, and the errors that it catches."""

    session: LocalSession
    arn: str
    queue_url: str
    execution: str = ""

    @property
    def states(self) -> Any:
        return self.session.client("stepfunctions")

    def start(self) -> dict[str, Any]:
        """Starts an execution and returns the record of the task's message."""
        self.execution = self.states.start_execution(
            stateMachineArn=self.arn, input=json.dumps({"order_id": "1"})
        )["executionArn"]
        (message,) = self.session.client("sqs").receive_message(
            QueueUrl=self.queue_url, WaitTimeSeconds=PATIENCE_SECONDS
        )["Messages"]
        return {
            "messageId": message["MessageId"],
            "body": message["Body"],
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSource": "aws:sqs",
        }

    def deliver(self, record: dict[str, Any], work: Work, receives: int = 1) -> bool:
        """Delivers the record; whether the wrapper acknowledged it."""
        record = record | {"attributes": {"ApproximateReceiveCount": str(receives)}}
        handler = workflow_task(work, self.states)
        return not handler({"Records": [record]}, Context())["batchItemFailures"]

    def ended(self) -> tuple[str, Any]:
        """Waits for the end of the execution; returns its status, and its output or error name."""
        eventually(
            lambda: self.now()["status"] != "RUNNING",
            "the execution ends",
            PATIENCE_SECONDS,
            pause_seconds=0.02,
        )
        found = self.now()
        return found["status"], found.get("error") or json.loads(found["output"])

    def now(self) -> dict[str, Any]:
        described = self.states.describe_execution(executionArn=self.execution)
        assert isinstance(described, dict)
        return described


@pytest.fixture(scope="module")
def machine(cloud: Emulator) -> Workflow:
    session = LocalSession(cloud.endpoint)
    name = f"t{uuid.uuid4().hex[:8]}"
    url = session.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    caught = [{"ErrorEquals": ["NoPaper"], "ResultPath": "$.error", "Next": "Caught"}]
    definition = {
        "StartAt": "Work",
        "States": {
            "Work": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {
                    "QueueUrl": url,
                    "MessageBody": {
                        "token.$": "$$.Task.Token",
                        "state": "Work",
                        "heartbeat_seconds": 0.6,
                        "input": {"order_id.$": "$.order_id"},
                    },
                },
                "TimeoutSeconds": TASK_SECONDS,
                "Catch": caught,
                "End": True,
            },
            "Caught": {"Type": "Pass", "End": True},
        },
    }
    arn = session.client("stepfunctions").create_state_machine(
        name=name,
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::000000000000:role/test",
    )["stateMachineArn"]
    return Workflow(session, arn, url)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEAD_LETTER_QUEUE_URL", raising=False)
    monkeypatch.setenv("MAX_RECEIVE_COUNT", str(LAST_RECEIVE))


def echo(given: Mapping[str, Any], _task: Task) -> Any:
    return {"echoed": given["order_id"]}


def failing(error: Exception) -> Work:
    def work(_given: Mapping[str, Any], _task: Task) -> Any:
        raise error

    return work


def never(_given: Mapping[str, Any], _task: Task) -> Any:
    pytest.fail("the work must not start")


def test_task_success_continues_with_the_result(machine: Workflow) -> None:
    record = machine.start()
    assert machine.deliver(record, echo)
    assert machine.ended() == ("SUCCEEDED", {"echoed": "1"})


def test_task_permanent_error_is_caught_by_name(machine: Workflow) -> None:
    assert machine.deliver(machine.start(), failing(NoPaper("none left")))
    status, output = machine.ended()
    assert status == "SUCCEEDED"
    assert output["error"] == {"Error": "NoPaper", "Cause": "none left"}


def test_task_transient_errors_end_in_retries_exhausted(
    machine: Workflow,
) -> None:
    record = machine.start()
    for receives in range(1, LAST_RECEIVE):
        assert not machine.deliver(record, failing(TransientError("away")), receives)
        assert machine.now()["status"] == "RUNNING"
    assert not machine.deliver(record, failing(TransientError("away")), LAST_RECEIVE)
    assert machine.ended() == ("FAILED", "RetriesExhausted")


@pytest.mark.parametrize("work", [echo, failing(NoPaper("none left"))])
def test_task_answered_token_is_not_processed_again(machine: Workflow, work: Work) -> None:
    record = machine.start()
    assert machine.deliver(record, work)
    ended = machine.ended()
    # The message is delivered again: once more, for the last time, and as a replayed dead letter.
    for receives in (1, 2, LAST_RECEIVE):
        assert machine.deliver(record, never, receives)
    assert machine.ended() == ended


def test_task_timed_out_token_is_not_processed(machine: Workflow) -> None:
    record = machine.start()
    assert machine.ended() == ("FAILED", "States.Timeout")
    assert machine.deliver(record, never)


@pytest.mark.parametrize("error", [None, NoPaper("none left")])
def test_task_token_that_times_out_meanwhile_is_acknowledged(
    machine: Workflow, error: Exception | None, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(given: Mapping[str, Any], task: Task) -> Any:
        machine.ended()  # the task times out first
        if error:
            raise error
        return echo(given, task)

    assert machine.deliver(machine.start(), work)
    assert machine.ended() == ("FAILED", "States.Timeout")
    assert "task_token_closed" in capsys.readouterr().out


def test_task_concurrent_copies_answer_once(machine: Workflow) -> None:
    """A message that became visible too early: both copies run, one answers the token."""
    record = machine.start()
    outcomes = at_once([partial(machine.deliver, record, echo)] * 4)
    assert outcomes == [True] * 4
    assert machine.ended() == ("SUCCEEDED", {"echoed": "1"})


@pytest.mark.parametrize("token", ["never given out", "x" * 2048])
def test_task_unknown_token_is_acknowledged(machine: Workflow, token: str) -> None:
    body = {"token": token, "state": "Work", "heartbeat_seconds": 1, "input": {}}
    record = {"messageId": "m", "body": json.dumps(body), "eventSource": "aws:sqs"}
    assert machine.deliver(record, never)
