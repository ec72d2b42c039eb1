"""What becomes of a task's token and its message, whatever becomes of the work.

Step Functions is simulated here, because the real one cannot fail at a chosen call; tokens that it
really gave out are answered in tests/integration/test_task.py.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.orders.model import OutOfStock
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from services.platform.functions.task import (
    CAUSE_MAX_CHARACTERS,
    ERROR_MAX_CHARACTERS,
    OUTPUT_MAX_BYTES,
    Task,
    error_name,
    workflow_task,
)
from tests.support.log_lines import events

TOKEN = "the-secret-token"
HEARTBEAT, SUCCESS, FAILURE = "send_task_heartbeat", "send_task_success", "send_task_failure"
LAST_RECEIVE = 5


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "SendTask",
    )


AWAY = EndpointConnectionError(endpoint_url="http://states")
NOT_AWAITED = ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"]


@dataclass
class StepFunctions:
    """Takes answers. `failing` has, by the name of the call, what it raises: at every call (an
    error), or at one after the other (a list, with None for a call that goes well)."""

    failing: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if not name.startswith("send_task_"):
            raise AttributeError(name)

        def call(*, taskToken: str, **arguments: Any) -> dict[str, Any]:  # noqa: N803
            assert taskToken == TOKEN
            failing = self.failing.get(name)
            if isinstance(failing, list):
                failing = failing.pop(0) if failing else None
            self.calls.append((name, arguments))
            if failing is not None:
                raise failing
            return {}

        return call

    @property
    def answers(self) -> list[tuple[str, dict[str, Any]]]:
        return [call for call in self.calls if call[0] != HEARTBEAT]

    @property
    def heartbeats(self) -> int:
        return len(self.calls) - len(self.answers)


class Context:
    aws_request_id = "request-1"
    function_name = "check-inventory"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def message(**changes: Any) -> str:
    body = {
        "token": TOKEN,
        "state": "CheckInventory",
        "heartbeat_seconds": 900,
        "input": {"order_id": "1"},
    }
    return json.dumps(body | changes)


def sent(
    states: StepFunctions,
    work: Callable[[Mapping[str, Any], Task], Any],
    body: str | None = None,
    receives: int = 1,
) -> bool:
    """Whether the message is dealt with."""
    record = {
        "messageId": "m",
        "body": message() if body is None else body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "eventSource": "aws:sqs",
    }
    answer = workflow_task(work, states)({"Records": [record]}, Context())
    return not answer["batchItemFailures"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEAD_LETTER_QUEUE_URL", raising=False)
    monkeypatch.setenv("MAX_RECEIVE_COUNT", str(LAST_RECEIVE))


def raising(error: BaseException) -> Callable[[Mapping[str, Any], Task], Any]:
    def work(_given: Mapping[str, Any], _task: Task) -> Any:
        raise error

    return work


def never(_given: Mapping[str, Any], _task: Task) -> Any:
    pytest.fail("there was nothing to work on")


# -- answers


@pytest.mark.parametrize("receives", [1, LAST_RECEIVE])
@pytest.mark.parametrize(
    ("result", "output"), [({"prints": 3}, '{"prints": 3}'), (None, "{}"), ({}, "{}")]
)
def test_work_that_is_done_is_answered_with_its_result(
    result: Any, output: str, receives: int
) -> None:
    states, seen = StepFunctions(), []

    def work(given: Mapping[str, Any], task: Task) -> Any:
        seen.append((given, task.state, task.heartbeat_seconds, task.message.receive_count))
        return result

    assert sent(states, work, receives=receives)
    assert seen == [({"order_id": "1"}, "CheckInventory", 900.0, receives)]
    assert states.calls == [(HEARTBEAT, {}), (SUCCESS, {"output": output})]


@pytest.mark.parametrize("receives", [1, LAST_RECEIVE])
def test_a_permanent_error_is_an_answer_and_no_dead_letter(receives: int) -> None:
    states = StepFunctions()
    error = OutOfStock("1", {"glossy": (2, 1)})
    assert sent(states, raising(error), receives=receives)
    cause = "not enough stock for order 1: glossy (2 wanted, 1 available)"
    assert states.answers == [(FAILURE, {"error": "OutOfStock", "cause": cause})]


@pytest.mark.parametrize(
    "error",
    [TransientError("away"), ValueError("a bug"), AWAY, refusal("AccessDenied"), MemoryError()],
)
def test_anything_else_comes_back_until_the_last_receive(error: Exception) -> None:
    for receives in range(1, LAST_RECEIVE):
        states = StepFunctions()
        assert not sent(states, raising(error), receives=receives)
        assert states.answers == []
    states = StepFunctions()
    assert not sent(states, raising(error), receives=LAST_RECEIVE)  # it becomes a dead letter
    ((call, arguments),) = states.answers
    assert (call, arguments["error"]) == (FAILURE, "RetriesExhausted")
    assert str(error) in arguments["cause"]
    assert "attempt 5, the last" in arguments["cause"]


class NamedError(PermanentError):
    workflow_error = "CalledSomethingElse"


class NamedWrongError(PermanentError):
    workflow_error = ""


class Error(PermanentError):
    pass


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OutOfStock("1", {}), "OutOfStock"),
        (ConfigurationError("x", []), "Configuration"),
        (ValueError(), "Value"),
        (NamedError(), "CalledSomethingElse"),
        (NamedWrongError(), "NamedWrong"),
        (Error(), "Error"),
        (type("E" * 300, (PermanentError,), {})(), "E" * ERROR_MAX_CHARACTERS),
    ],
)
def test_what_the_state_machine_calls_an_error(error: Exception, name: str) -> None:
    assert error_name(error) == name


def test_a_cause_has_room() -> None:
    for length in (CAUSE_MAX_CHARACTERS, CAUSE_MAX_CHARACTERS + 1):
        states = StepFunctions()
        assert sent(states, raising(PermanentError("x" * length)))
        cause = states.answers[0][1]["cause"]
        assert len(cause) == CAUSE_MAX_CHARACTERS
        assert cause.endswith("x" if length == CAUSE_MAX_CHARACTERS else "…")


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_result_that_is_too_large_is_a_permanent_error(letter: str) -> None:
    room = OUTPUT_MAX_BYTES - len('{"a": ""}')
    fits = room // len(json.dumps(letter)[1:-1])
    states = StepFunctions()
    assert sent(states, lambda _given, _task: {"a": letter * fits})
    assert states.answers[0][0] == SUCCESS
    assert len(states.answers[0][1]["output"].encode()) <= OUTPUT_MAX_BYTES
    states = StepFunctions()
    assert sent(states, lambda _given, _task: {"a": letter * (fits + 1)})
    assert states.answers[0][1]["error"] == "ResultTooLarge"


@pytest.mark.parametrize("result", [{"n": float("nan")}, {"n": float("inf")}, {"n": object()}])
def test_a_result_that_is_no_json_is_a_bug_that_is_told(result: dict[str, Any]) -> None:
    states = StepFunctions()
    assert not sent(states, lambda _given, _task: result)
    assert states.answers == []
    assert not sent(states, lambda _given, _task: result, receives=LAST_RECEIVE)
    assert states.answers[0][1]["error"] == "RetriesExhausted"


# -- tokens that are no longer valid, and outages of Step Functions


@pytest.mark.parametrize("code", NOT_AWAITED)
def test_work_with_an_invalid_token_is_not_started(code: str) -> None:
    states = StepFunctions({HEARTBEAT: refusal(code)})
    assert sent(states, never)
    assert states.answers == []


@pytest.mark.parametrize("receives", [1, LAST_RECEIVE])
@pytest.mark.parametrize("code", NOT_AWAITED)
@pytest.mark.parametrize("error", [None, PermanentError("no")])
def test_result_with_an_invalid_token_is_dropped(
    code: str, error: Exception | None, receives: int
) -> None:
    states = StepFunctions({SUCCESS: refusal(code), FAILURE: refusal(code)})
    work = raising(error) if error else lambda _given, _task: {}
    assert sent(states, work, receives=receives)
    assert len(states.answers) == 1


@pytest.mark.parametrize("outage", [AWAY, refusal("ThrottlingException"), refusal("Any", 503)])
@pytest.mark.parametrize("call", [HEARTBEAT, SUCCESS, FAILURE])
def test_message_during_an_outage_of_step_functions_is_received_again(
    call: str, outage: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    states, begun = StepFunctions({call: [outage]}), []

    def work(_given: Mapping[str, Any], _task: Task) -> Any:
        begun.append(1)
        if call == FAILURE:
            raise PermanentError("no")

    assert not sent(states, work)
    assert len(begun) == (call != HEARTBEAT)
    assert failures(capsys)[-1]["error_type"] == "TransientError"
    # The second receive sends the result.
    assert sent(states, work, receives=2)
    assert states.answers[-1][0] == (FAILURE if call == FAILURE else SUCCESS)


def failures(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [e for e in events(capsys.readouterr().out) if e["event"] == "message_failed"]


def test_refusal_for_missing_permission_is_not_an_outage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not sent(StepFunctions({HEARTBEAT: refusal("AccessDeniedException")}), never)
    assert failures(capsys)[-1]["error_type"] == "ClientError"


def test_last_receive_during_an_outage_logs_why_the_work_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    states = StepFunctions({FAILURE: AWAY})
    assert not sent(states, raising(TransientError("Postgres is away")), receives=LAST_RECEIVE)
    logged = events(capsys.readouterr().out)
    reasons = {line["event"]: line.get("reason") for line in logged}
    assert reasons["message_failed"] == "Postgres is away"
    assert "task_answer_failed" in reasons


# -- heartbeats


def beating(seconds: float) -> str:
    return message(heartbeat_seconds=seconds)


def busy(until: Callable[[], bool]) -> Callable[[Mapping[str, Any], Task], Any]:
    def work(_given: Mapping[str, Any], _task: Task) -> Any:
        give_up_at = time.monotonic() + 10
        while not until():
            assert time.monotonic() < give_up_at
            time.sleep(0.01)

    return work


def beats() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "task-heartbeat"]


def assert_quiet(states: StepFunctions) -> None:
    for thread in beats():
        thread.join(2)
    assert beats() == []
    before = states.heartbeats
    time.sleep(0.3)
    assert states.heartbeats == before


@pytest.mark.parametrize("error", [None, TransientError("away"), PermanentError("no")])
def test_step_functions_hears_of_long_work_and_then_no_more(error: Exception | None) -> None:
    states = StepFunctions()

    def work(given: Mapping[str, Any], task: Task) -> Any:
        busy(lambda: states.heartbeats >= 3)(given, task)
        if error:
            raise error

    started = time.monotonic()
    sent(states, work, beating(0.75))
    # One before the work, then three a heartbeat.
    assert time.monotonic() - started >= 2 * 0.25
    assert_quiet(states)


def test_short_work_is_not_waited_for_by_its_heartbeat() -> None:
    states = StepFunctions()
    started = time.monotonic()
    assert sent(states, lambda _given, _task: {}, beating(900))
    assert time.monotonic() - started < 1
    assert states.heartbeats == 1
    assert_quiet(states)


@pytest.mark.parametrize("lost", [AWAY, refusal("ThrottlingException"), RuntimeError("a bug")])
def test_heartbeat_lost_does_not_fail_the_task(
    lost: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    states = StepFunctions({HEARTBEAT: [None, lost, lost]})
    assert sent(states, busy(lambda: states.heartbeats >= 4), beating(0.6))
    assert states.answers == [(SUCCESS, {"output": "{}"})]
    lines = events(capsys.readouterr().out)
    logged = [line for line in lines if line["event"] == "task_heartbeat_failed"]
    assert len(logged) == 2
    # The log names the message.
    assert {(line["message_id"], line["state"]) for line in logged} == {("m", "CheckInventory")}


def test_heartbeats_after_a_timed_out_task_stop() -> None:
    """The work continues; the order's status is checked again at its end."""
    states = StepFunctions({HEARTBEAT: [None, refusal("TaskTimedOut")]})
    assert sent(states, busy(lambda: states.heartbeats >= 2 and not beats()), beating(0.6))
    assert states.heartbeats == 2


# -- messages


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        "null",
        "7",
        "{}",
        "[" * 100_000,
        *(
            json.dumps({key: value for key, value in json.loads(message()).items() if key != gone})
            for gone in ("token", "state", "heartbeat_seconds", "input")
        ),
        message(token=""),
        message(token=7),
        message(token=None),
        message(state=7),
        message(input=None),
        message(input="order"),
        message(input=["order"]),
        message(heartbeat_seconds="soon"),
        message(heartbeat_seconds=None),
        message(heartbeat_seconds=0),
        message(heartbeat_seconds=-1),
        message(heartbeat_seconds=float("nan")),
        message(heartbeat_seconds=float("inf")),
        message(heartbeat_seconds=1e12),
        message(heartbeat_seconds=10**400),
    ],
    ids=lambda body: body[:40],
)
def test_message_that_is_not_a_task_becomes_a_dead_letter(
    body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    states = StepFunctions()
    assert not sent(states, never, body)
    assert states.calls == []
    (logged,) = failures(capsys)
    assert (logged["error_type"], TOKEN in logged["reason"]) == ("PermanentError", False)
    assert logged["reason"].startswith("expected a task")


@pytest.mark.parametrize("failing", [None, "PermanentError", "ValueError", "TaskTimedOut"])
def test_logs_do_not_contain_the_token(
    failing: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any reader of the log could complete the task with it."""
    states = StepFunctions()
    tasks = []

    def work(_given: Mapping[str, Any], task: Task) -> Any:
        tasks.append(task)
        if failing == "TaskTimedOut":
            states.failing = {SUCCESS: refusal("TaskTimedOut")}
        elif failing:
            raise {"PermanentError": PermanentError, "ValueError": ValueError}[failing](repr(task))

    sent(states, work, receives=LAST_RECEIVE)
    assert TOKEN in tasks[0].message.body
    written = capsys.readouterr()
    assert TOKEN not in repr(tasks[0])
    assert TOKEN not in written.out + written.err


def test_a_token_that_is_not_known_yet_is_asked_for_again() -> None:
    states = StepFunctions({HEARTBEAT: [refusal("InvalidToken"), refusal("InvalidToken"), None]})
    assert sent(states, lambda _given, _task: {"reserved": True})
    assert states.answers == [(SUCCESS, {"output": '{"reserved": true}'})]
    assert states.heartbeats == 3
