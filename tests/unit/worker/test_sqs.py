"""Calls to SQS: what failed how, and what is logged about it."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from structlog.testing import capture_logs

from services.platform.aws import dead_letter
from services.worker.batch import Failure, message
from services.worker.sqs import (
    REPORTED_SECONDS,
    Clients,
    Queue,
    QueueRefusedError,
    QueueUnavailableError,
)
from tests.support.clock import Clock
from tests.unit.worker.fakes import received


class Client:
    """Answers each call with the next of `answers`, or raises it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def _call(self, **arguments: Any) -> Any:
        self.calls.append(arguments)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    receive_message = delete_message_batch = change_message_visibility_batch = send_message = _call


def queue(client: Client) -> Queue:
    return Queue("http://sqs/1/q", "http://sqs/1/dead", 20, Clients(client, client))


def client_error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "ReceiveMessage",
    )


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://sqs"),
        ReadTimeoutError(endpoint_url="http://sqs"),
        ConnectionResetError(),
        client_error("InternalFailure", 500),
        client_error("ServiceUnavailable", 503),
        client_error("RequestThrottled", 403),
        client_error("ThrottlingException", 400),
        client_error("ExpiredToken", 403),
    ],
    ids=str,
)
def test_what_may_pass(error: Exception) -> None:
    with pytest.raises(QueueUnavailableError):
        queue(Client(error)).receive(10, 30)


@pytest.mark.parametrize(
    "error",
    [
        client_error("AccessDenied", 403),
        client_error("AWS.SimpleQueueService.NonExistentQueue", 400),
        client_error("InvalidParameterValue", 400),
    ],
    ids=str,
)
def test_what_will_not_pass(error: Exception) -> None:
    with pytest.raises(QueueRefusedError):
        queue(Client(error)).receive(10, 30)


def test_one_line_when_the_queue_goes_and_one_when_it_comes() -> None:
    gone = EndpointConnectionError(endpoint_url="http://sqs")
    tested = queue(Client({}, gone, gone, gone, {}, {}, gone, {}))
    structlog.reset_defaults()
    with capture_logs() as logs:
        for _ in range(8):
            try:
                tested.receive(10, 30)
            except QueueUnavailableError:
                assert not tested.receiving_works
            else:
                assert tested.receiving_works
    events = [log["event"] for log in logs]
    assert events == [
        "queue_unavailable",
        "queue_recovered",
        "queue_unavailable",
        "queue_recovered",
    ]


def test_a_partly_failed_batch_is_told_apart() -> None:
    a, b, c = received("a"), received("b"), received("c")
    answer = {
        "Successful": [{"Id": "1"}],
        "Failed": [
            {"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True},
            {"Id": "2", "Code": "InternalError", "SenderFault": False},
        ],
    }
    entries = queue(Client(answer)).delete([a, b, c])
    assert entries.stale == (a,)
    assert entries.again == (c,)


def test_the_long_poll_and_the_lease_are_asked_for() -> None:
    client = Client({}, {})
    tested = queue(client)
    tested.receive(25, 30)
    tested.receive(3, 30, wait_seconds=0)
    assert [call["MaxNumberOfMessages"] for call in client.calls] == [10, 3]
    assert [call["WaitTimeSeconds"] for call in client.calls] == [20, 0]
    assert {call["VisibilityTimeout"] for call in client.calls} == {30}


def test_send_dead_letter_many_attributes_keeps_all_of_them() -> None:
    client = Client({})
    original = {f"own-{n}": {"DataType": "String", "StringValue": str(n)} for n in range(9)}
    original["reason"] = {"DataType": "String", "StringValue": "of an earlier death"}
    item = message(
        {
            "MessageId": "m",
            "ReceiptHandle": "r",
            "Body": "the body",
            "Attributes": {"ApproximateReceiveCount": "5"},
            "MessageAttributes": original,
        }
    )
    queue(client).send_dead_letter(item, Failure("ValueError", "why"), "request", "developer")
    (call,) = client.calls
    assert call["QueueUrl"] == "http://sqs/1/dead"
    assert call["MessageBody"] == "the body"
    attributes = call["MessageAttributes"]
    assert len(attributes) <= 10
    assert set(dead_letter.NAMES) < set(attributes)
    assert attributes["reason"]["StringValue"] == "why"
    assert attributes["attempts"] == {"DataType": "Number", "StringValue": "5"}
    assert dead_letter.sender_attributes(attributes) == original


def test_refused_delete_is_an_error_of_the_queue_until_one_succeeds() -> None:
    tested = queue(Client(client_error("AccessDenied", 403), {}))
    with pytest.raises(QueueRefusedError):
        tested.delete([received("a")])
    assert tested.refuses_deletes
    assert "AccessDenied" in tested.error
    tested.delete([received("a")])
    assert not tested.refuses_deletes
    assert tested.error == ""


def test_unavailable_queue_does_not_refuse_deletes() -> None:
    tested = queue(Client(client_error("InternalError", 500)))
    with pytest.raises(QueueUnavailableError):
        tested.delete([received("a")])
    assert not tested.refuses_deletes


@pytest.mark.parametrize("repeated", [True, False])
def test_failure_of_a_call_that_nothing_repeats_is_reported_for_a_while(repeated: bool) -> None:
    clock = Clock()
    client = Client(client_error("AccessDenied", 403))
    tested = Queue("http://sqs/1/q", None, 20, Clients(client, client), clock)
    item = received("a")
    with pytest.raises(QueueRefusedError):
        _ = tested.delete([item]) if repeated else tested.change_visibility({item: 0})
    clock.now += REPORTED_SECONDS - 1
    assert "AccessDenied" in tested.error
    clock.now += 1
    assert ("AccessDenied" in tested.error) is repeated
