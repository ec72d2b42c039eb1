import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from services.platform.errors import ConfigurationError, PermanentError, TransientError
from services.platform.functions.sqs import Message, queue_function


@dataclass
class Context:
    aws_request_id: str = "request-1"
    function_name: str = "example"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


def record(identifier: str, receives: int = 1) -> dict[str, Any]:
    return {
        "messageId": identifier,
        "body": f"body of {identifier}",
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "eventSource": "aws:sqs",
    }


def failed(answer: dict[str, Any]) -> list[str]:
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEAD_LETTER_QUEUE_URL", raising=False)
    monkeypatch.setenv("MAX_RECEIVE_COUNT", "5")


def raising(errors: dict[str, Exception]) -> Callable[[Message], None]:
    def work(message: Message) -> None:
        if message.id in errors:
            raise errors[message.id]

    return work


def test_a_warmer_is_answered_without_work() -> None:
    def work(_message: Message) -> None:
        pytest.fail("a warmer carries no work")

    assert queue_function(work)({"warmer": True}, Context()) == {"warm": True}


def test_only_the_messages_that_failed_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    handler = queue_function(raising({"b": TransientError("away"), "d": ValueError("a bug")}))
    answer = handler({"Records": [record(i) for i in "abcd"]}, Context())
    assert failed(answer) == ["b", "d"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_message = {line["message_id"]: line for line in lines}
    assert by_message["b"]["reason"] == "away"
    assert by_message["b"]["request_id"] == "request-1"
    assert "exception" not in by_message["b"], "a foreseen error needs no traceback"
    assert "a bug" in by_message["d"]["exception"]


def test_the_message_knows_its_last_receive_and_its_time() -> None:
    seen: list[Message] = []
    handler = queue_function(seen.append)
    handler({"Records": [record("a", 4), record("b", 5)]}, Context())
    assert [(m.receive_count, m.last_receive) for m in seen] == [(4, False), (5, True)]
    assert all(29 < m.seconds_left() <= 30 for m in seen)


def test_a_replayed_message_is_known() -> None:
    seen: list[Message] = []
    replayed = record("b") | {"messageAttributes": {"replayed": {"stringValue": "dead"}}}
    queue_function(seen.append)({"Records": [record("a"), replayed]}, Context())
    assert [m.replayed for m in seen] == [False, True]


def test_nothing_is_started_that_could_not_be_ended() -> None:
    seen: list[Message] = []
    answer = queue_function(seen.append)({"Records": [record("a")]}, Context(remaining_ms=500))
    assert failed(answer) == ["a"]
    assert seen == []


def test_a_permanent_error_without_a_dead_letter_queue_is_left_to_the_redrive_policy() -> None:
    handler = queue_function(raising({"a": PermanentError("never")}))
    assert failed(handler({"Records": [record("a")]}, Context())) == ["a"]


@pytest.mark.parametrize(
    "event",
    [{}, {"Records": None}, {"Records": [{"eventSource": "aws:s3"}]}, [], "x", {"warmer": "true"}],
)
def test_an_event_that_is_no_batch_gets_a_clear_error(event: Any) -> None:
    with pytest.raises(PermanentError, match="expected an SQS event"):
        queue_function(lambda _message: None)(event, Context())


def test_a_wrong_environment_fails_at_initialisation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_RECEIVE_COUNT", "often")
    with pytest.raises(ConfigurationError, match="MAX_RECEIVE_COUNT must be a whole number"):
        queue_function(lambda _message: None)
