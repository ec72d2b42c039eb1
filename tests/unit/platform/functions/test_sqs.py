import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from services.platform import log
from services.platform.aws import dead_letter
from services.platform.errors import ConfigurationError, PermanentError, TransientError
from services.platform.functions.sqs import Message, queue_function
from tests.support.log_lines import events


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
    lines = events(capsys.readouterr().out)
    by_message = {line["message_id"]: line for line in lines if line["event"] == "message_failed"}
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


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return events(capsys.readouterr().out)


def test_invocation_of_one_message_ends_with_its_duration_and_outcome(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = queue_function(raising({"b": TransientError("away")}))
    handler({"Records": [record("a")]}, Context())
    handler({"Records": [record("b", 2)]}, Context())
    ends = [line for line in logged(capsys) if line["event"] == "invocation_completed"]
    assert [(e["message_id"], e["attempt"], e["outcome"]) for e in ends] == [
        ("a", 1, "success"),
        ("b", 2, "retry"),
    ]
    for end in ends:
        assert end["duration_ms"] >= 0
        assert (end["function"], end["request_id"]) == ("example", "request-1")
        assert isinstance(end["cold_start"], bool)


def test_invocation_of_a_batch_ends_with_counts_after_a_line_for_each_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = queue_function(raising({"b": TransientError("away")}))
    handler({"Records": [record("a"), record("b")]}, Context())
    lines = [line for line in logged(capsys) if "duration_ms" in line]
    assert [(line["event"], line["outcome"]) for line in lines] == [
        ("message_completed", "success"),
        ("message_completed", "retry"),
        ("invocation_completed", "success"),
    ]
    assert (lines[-1]["messages"], lines[-1]["failures"]) == (2, 1)
    assert "message_id" not in lines[-1]


def attribute(value: str) -> dict[str, Any]:
    return {"messageAttributes": {"correlation_id": {"stringValue": value, "dataType": "String"}}}


def notification(value: str) -> str:
    attributes = {"correlation_id": {"Type": "String", "Value": value}}
    return json.dumps({"Type": "Notification", "Message": "{}", "MessageAttributes": attributes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (attribute("photo-1"), "photo-1"),
        ({"body": notification("photo-1")}, "photo-1"),
        ({"body": json.dumps({"token": "t", "correlation_id": "order-1"})}, "order-1"),
        ({"body": '["correlation_id"]'}, None),
        ({"body": '{"correlation_id": 1}'}, None),
        ({"body": '"correlation_id" and no JSON'}, None),
        ({}, None),
    ],
)
def test_correlation_id_of_a_message_stands_on_its_lines_only(
    changes: dict[str, Any], expected: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str | None] = []
    handler = queue_function(lambda _: seen.append(log.correlation_id()))
    handler({"Records": [record("a") | changes, record("b")]}, Context())
    assert seen == [expected, None]
    lines = logged(capsys)
    assert [line.get("correlation_id") for line in lines] == [expected, None, None]


def test_correlation_id_with_foreign_characters_is_hashed() -> None:
    seen: list[str | None] = []
    handler = queue_function(lambda _: seen.append(log.correlation_id()))
    handler({"Records": [record("a") | attribute("x\r\nBcc: y")]}, Context())
    assert seen == [log.as_correlation_id("x\r\nBcc: y")]
    assert str(seen[0]).isalnum()


def test_replayed_dead_letter_keeps_its_correlation_id() -> None:
    sent = record("a") | attribute("photo-1")
    letter = dead_letter.attributes(
        reason="away",
        error_type="TransientError",
        request_id="request-1",
        attempts=5,
        function="example",
        sender=dead_letter.from_record(sent),
        body=sent["body"],
    )
    replayed = {
        name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
        for name, value in dead_letter.sender_attributes(letter).items()
    }
    seen: list[str | None] = []
    handler = queue_function(lambda _: seen.append(log.correlation_id()))
    handler({"Records": [record("b") | {"messageAttributes": replayed}]}, Context())
    assert seen == ["photo-1"]


def test_attributes_of_the_sender_are_texts_by_name() -> None:
    seen: list[Message] = []
    sent = record("a") | {
        "messageAttributes": {
            "turn": {"dataType": "Number", "stringValue": "12.5"},
            "picture": {"dataType": "Binary", "binaryValue": "AAAA"},
        }
    }
    queue_function(seen.append)({"Records": [sent, record("b")]}, Context())
    assert [message.attributes for message in seen] == [{"turn": "12.5"}, {}]


def test_metrics_of_a_batch_precede_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    handler = queue_function(raising({"b": TransientError("away")}))
    first = record("a") | {
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"}
    }
    handler({"Records": [first, record("b", receives=2)]}, Context())
    *_, written, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert last["event"] == "invocation_completed"
    assert written["function"] == "example"
    assert written["Retries"] == 1
    assert (written["FailedEvents"], written["outcome"]) == (1, "retry")
    assert written["QueueWait"] > 1_000_000
