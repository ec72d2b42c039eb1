"""A version whose handler raises, from its log lines to the release that is taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.deploy.release import Result
from services.platform.functions.access import Access
from services.platform.functions.http import Answer, Operation, Request, Response, http_function
from services.platform.functions.sqs import Message, queue_function
from tests.unit.deploy.fake_environment import FakeEnvironment

MODULE = Path(__file__).parents[3] / "terraform" / "modules" / "observability"
ALARM = "darkroom-get-image-canary"
CALLS = 20
NEW_VERSION = "2"


class Context:
    aws_request_id = "request-1"
    function_name = "darkroom-get-image"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


def route(work: Callable[[], None]) -> None:
    """Calls a route's handler that does this work."""

    def handle(_request: Request) -> Response:
        work()
        return Response(204)

    operation = Operation("Does the work", Access.ANYONE, {204: Answer("Done")})
    request: dict[str, Any] = {"headers": {}, "requestContext": {"http": {}}}
    http_function(operation, handle)(request, Context())


def queue(work: Callable[[], None]) -> None:
    """Calls a queue function's handler, for one message, that does this work."""

    def handle(_message: Message) -> None:
        work()

    message = {"messageId": "m", "body": "", "attributes": {"ApproximateReceiveCount": "1"}}
    queue_function(handle)({"Records": [message | {"eventSource": "aws:sqs"}]}, Context())


def failures_filter() -> Callable[[dict[str, Any]], bool]:
    """The pattern of Terraform's metric filter of failures, as a predicate of a log line.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html"""
    text = (MODULE / "main.tf").read_text(encoding="utf-8")
    found = re.search(
        r'"aws_cloudwatch_log_metric_filter" "failures" {.*?pattern += "{(.*?)}"', text, re.DOTALL
    )
    assert found
    expression = found[1].replace('\\"', '"').replace("&&", " and ").replace("||", " or ")
    expression = re.sub(r"\$\.(\w+) = ", r"line.get('\1') == ", expression)
    expression = re.sub(r"\$\.(\w+) != ", r"line.get('\1') != ", expression)
    compiled = compile(expression.strip(), "pattern", "eval")
    return lambda line: bool(eval(compiled, {"line": line}))  # noqa: S307  from the repository


def error_percent() -> float:
    """The default threshold of the alarm."""
    text = (MODULE / "variables.tf").read_text(encoding="utf-8")
    found = re.search(r"error_percent += optional\(number, (\d+)\)", text)
    assert found
    return float(found[1])


@pytest.mark.parametrize("call", [route, queue])
@pytest.mark.parametrize("bad", [False, True])
def test_version_that_raises_in_its_handler_is_taken_back(
    environment: FakeEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    call: Callable[[Callable[[], None]], None],
    bad: bool,
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", NEW_VERSION)
    monkeypatch.delenv("DEAD_LETTER_QUEUE_URL", raising=False)

    def work() -> None:
        if bad:
            raise KeyError("a bug of the new version")

    capsys.readouterr()
    for _ in range(CALLS):
        call(work)  # raises nothing: AWS/Lambda counts a success
    matches = failures_filter()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    failures = [line for line in lines if matches(line) and line["version"] == NEW_VERSION]
    in_alarm = 100 * len(failures) / CALLS > error_percent()

    environment.order(alarms={"get-image": [ALARM]})
    environment.image("get-image", "b2")
    environment.alarms[ALARM] = "ALARM" if in_alarm else "OK"
    outcome = environment.deploy()

    assert outcome.result is (Result.TAKEN_BACK if bad else Result.RELEASED)
    assert environment.live["get-image"] == ("1" if bad else NEW_VERSION)
