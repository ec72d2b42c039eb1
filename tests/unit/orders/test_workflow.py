"""The definition of the order's state machine: every task ends, every error is caught, every state
is reachable, and every name in it exists."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.orders import loading, model
from services.orders.model import OrderStatus
from services.payments.model import PaymentDeclined
from services.platform.errors import PermanentError
from services.platform.functions.task import RETRIES_EXHAUSTED, error_name
from services.platform.manifest import Manifest, Resource, load, load_all

ROOT = Path(__file__).parents[3]
MACHINE: dict[str, Any] = json.loads(
    (ROOT / "terraform" / "lab" / "order-workflow.asl.json").read_text(encoding="utf-8")
)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
EVERY_TASK = pytest.mark.parametrize("name", TASKS)
EVERY_ERROR = "States.ALL"
CATCH_ALL_TASK = "FailOrder"
# SQS unavailable or not reached: the message was not sent, so no work has begun.
NOT_SENT = {"SQS.AmazonSQSException", "SQS.SdkClientException"}
# The regular ends of an order: the error of the task, and the state that follows it.
ENDS = {
    "ValidateOrder": (model.OrderRejected, "OrderClosed"),
    "CheckInventory": (model.OutOfStock, "NotifyOutOfStock"),
    "ProcessPayment": (PaymentDeclined, "ReleaseStock"),
}


def function_of(name: str) -> Manifest:
    """The function whose queue a task state sends to."""
    queue = TASKS[name]["Parameters"]["QueueUrl"]
    found = re.fullmatch(r"\$\{queue_([a-z_]+)\}", queue)
    assert found is not None, queue
    return load(ROOT / "images" / found[1].replace("_", "-"))


def next_of(state: Mapping[str, Any]) -> Iterator[str]:
    """Every state that `state` can lead to."""
    for choice in (state, *state.get("Catch", ()), *state.get("Choices", ())):
        if "Next" in choice:
            yield choice["Next"]
    if "Default" in state:
        yield state["Default"]


def reached_from(name: str) -> set[str]:
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += next_of(STATES[current])
    return seen


# -- structure


def test_workflow_happy_path() -> None:
    path = [MACHINE["StartAt"]]
    while (following := STATES[path[-1]].get("Next")) is not None:
        path.append(following)
    assert path == [
        "ValidateOrder", "CheckInventory", "ProcessPayment", "FulfillOrder", "OrderFulfilled",
    ]  # fmt: skip


def test_workflow_every_state_is_reachable_and_ends() -> None:
    named = {following for state in STATES.values() for following in next_of(state)}
    assert named <= STATES.keys()
    assert reached_from(MACHINE["StartAt"]) == set(STATES)
    ends = {name for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
    for name in STATES:
        assert reached_from(name) & ends, f"{name} leads to no end"
        # There is no cycle, so every execution ends.
        assert name not in set().union(*map(reached_from, next_of(STATES[name])))


def test_workflow_only_tasks_have_a_next_state() -> None:
    for name, state in STATES.items():
        assert ("Next" in state) == (state["Type"] == "Task"), name
        assert state["Type"] in {"Task", "Choice", "Succeed", "Fail"}


# -- tasks


@EVERY_TASK
def test_task_sends_a_token_to_its_functions_queue(name: str) -> None:
    task = TASKS[name]
    assert task["Resource"] == "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
    body = task["Parameters"]["MessageBody"]
    assert body["token.$"] == "$$.Task.Token"
    assert body["state"] == name
    assert body["heartbeat_seconds"] == task["HeartbeatSeconds"]
    assert body["input"]["order_id.$"] == body["correlation_id.$"] == "$.order_id"
    # The result does not replace the input: every later state needs the order's id.
    assert re.fullmatch(r"\$\.[a-z]+", task["ResultPath"])
    assert task["ResultPath"] not in {"$.order_id", "$.error"}
    # The state has the name of its function.
    assert function_of(name).name == re.sub(r"(?<!^)([A-Z])", r"-\1", name).lower()


def test_workflow_tasks_match_the_functions_it_feeds() -> None:
    fed = {
        item.name
        for item in load_all(ROOT / "images")
        if item.queue and any(s.reference.resource is Resource.WORKFLOW for s in item.queue.sources)
    }
    assert fed == {function_of(name).name for name in TASKS}


@EVERY_TASK
def test_task_function_is_granted_to_answer_its_token(name: str) -> None:
    granted = {
        action
        for grant in function_of(name).grants
        if grant.reference.resource is Resource.WORKFLOW
        for action in grant.actions
    }
    assert granted == {
        "states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat",
    }  # fmt: skip


@EVERY_TASK
def test_task_timeouts_exceed_the_retries_of_the_queue(name: str) -> None:
    """A function that dies does not answer its token. Its message returns after the queue's
    visibility timeout, and on the last receive the wrapper answers the token with a failure. The
    state must not time out before."""
    task, function = TASKS[name], function_of(name)
    assert function.queue is not None
    assert task["HeartbeatSeconds"] > function.visibility_timeout_seconds + function.timeout_seconds
    receives = function.queue.max_receive_count
    assert task["TimeoutSeconds"] > receives * function.visibility_timeout_seconds
    assert task["HeartbeatSeconds"] < task["TimeoutSeconds"]


@EVERY_TASK
def test_task_retries_only_failed_sends(name: str) -> None:
    """The queue retries transient errors; a retry of the state would send a second message."""
    sending, *others = TASKS[name]["Retry"]
    assert set(sending["ErrorEquals"]) == NOT_SENT
    for retry in (sending, *others):
        assert retry["JitterStrategy"] == "FULL"
        assert retry["BackoffRate"] >= 2
        assert 1 <= retry["IntervalSeconds"] <= retry["MaxDelaySeconds"]
        assert 3 <= retry["MaxAttempts"] <= 10
    if name == CATCH_ALL_TASK:
        # No state follows it, so it is retried after every error.
        assert [retry["ErrorEquals"] for retry in others] == [[EVERY_ERROR]]
    else:
        assert others == []


@EVERY_TASK
def test_task_every_error_is_caught(name: str) -> None:
    if name == CATCH_ALL_TASK:
        assert "Catch" not in TASKS[name]
        assert reached_from(name) == {name, "HowItEnded", "OrderClosed", "OrderFailed"}
        return
    *known, last = TASKS[name]["Catch"]
    assert (last["ErrorEquals"], last["Next"]) == ([EVERY_ERROR], CATCH_ALL_TASK)
    assert all(catch["ResultPath"] == "$.error" for catch in TASKS[name]["Catch"])
    if name in ENDS:
        error, following = ENDS[name]
        ((caught, leads),) = [(catch["ErrorEquals"], catch["Next"]) for catch in known]
        assert (caught, leads) == ([error.__name__], following)
    else:
        assert known == []


def test_fail_order_receives_the_error() -> None:
    assert TASKS[CATCH_ALL_TASK]["Parameters"]["MessageBody"]["input"] == {
        "order_id.$": "$.order_id", "error.$": "$.error",
    }  # fmt: skip
    assert STATES["OrderFailed"]["ErrorPath"] == "$.error.Error"
    (choice,) = STATES["HowItEnded"]["Choices"]
    assert choice == {
        "Variable": TASKS[CATCH_ALL_TASK]["ResultPath"] + ".status",
        "StringEquals": OrderStatus.FAILED.value,
        "Next": "OrderFailed",
    }


# -- error names


def raised_by(function: Manifest) -> set[str]:
    """The exception classes in the `raise` statements of a function's module."""
    module = ROOT / "services" / "orders" / f"{function.name.replace('-', '_')}.py"
    tree = ast.parse(module.read_text(encoding="utf-8"))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    caught = [
        node.type
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
    ]
    names = [error.func if isinstance(error, ast.Call) else error for error in (*raised, *caught)]
    return {name.id for name in names if isinstance(name, ast.Name)}


@pytest.mark.parametrize("name", ENDS)
def test_task_caught_error_is_raised_by_its_function(name: str) -> None:
    error, _ = ENDS[name]
    assert error.__name__ in raised_by(function_of(name))
    assert issubclass(error, PermanentError)


def test_workflow_error_names_match_the_classes() -> None:
    """A renamed class would no longer be caught."""
    samples: list[PermanentError] = [
        model.OrderRejected("why"),
        model.OutOfStock("order", {"print": (2, 1)}),
        PaymentDeclined("card_declined"),
        loading.OrderEnded("ended"),
    ]
    assert [error_name(error) for error in samples] == [
        "OrderRejected", "OutOfStock", "PaymentDeclined", "OrderEnded",
    ]  # fmt: skip
    caught = {
        error
        for state in TASKS.values()
        for catch in state.get("Catch", ())
        for error in catch["ErrorEquals"]
    }
    assert caught == {error.__name__ for error, _ in ENDS.values()} | {EVERY_ERROR}
    # The wrapper's own error is not caught by name.
    assert RETRIES_EXHAUSTED not in caught
