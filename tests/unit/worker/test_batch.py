"""Lambda's contract for SQS batches, as tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.runtime.execution import Invocation, Outcome
from services.runtime.runtime_api import MAX_PAYLOAD_BYTES
from services.worker import batch

ARN = "arn:aws:sqs:eu-west-1:123456789012:photos"
IDS = ("m1", "m2", "m3")


def message(identifier: str, **fields: Any) -> batch.Message:
    return batch.message(
        {"MessageId": identifier, "ReceiptHandle": f"receipt-{identifier}", "Body": "{}", **fields}
    )


def invocation(payload: bytes = b"", outcome: Outcome = Outcome.SUCCESS) -> Invocation:
    return Invocation(
        request_id="r",
        outcome=outcome,
        payload=payload,
        error_type="" if outcome is Outcome.SUCCESS else "Kind",
        error_message="" if outcome is Outcome.SUCCESS else "why",
        duration_ms=1,
        peak_mib=1,
        cold=False,
        init_ms=0,
    )


def failed(answer: Any) -> set[str]:
    payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return set(batch.failures([message(i) for i in IDS], invocation(payload)))


def items(*identifiers: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": i} for i in identifiers]}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="no answer"),
        pytest.param(None, id="null"),
        pytest.param({}, id="empty object"),
        pytest.param({"batchItemFailures": []}, id="empty list"),
        pytest.param({"batchItemFailures": None}, id="null list"),
        pytest.param({"warm": True}, id="an object about something else"),
    ],
)
def test_success_of_all(answer: Any) -> None:
    assert failed(answer) == set()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(items("m2"), {"m2"}, id="one"),
        pytest.param(items("m1", "m3"), {"m1", "m3"}, id="two"),
        pytest.param(items("m1", "m1"), {"m1"}, id="one, twice"),
        pytest.param(items(*IDS), set(IDS), id="all"),
    ],
)
def test_reported_messages_fail_and_the_others_do_not(answer: Any, expected: set[str]) -> None:
    assert failed(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(items(None), id="null identifier"),
        pytest.param(items(""), id="empty identifier"),
        pytest.param(items("unknown"), id="unknown identifier"),
        pytest.param(items("m1", "unknown"), id="one known, one unknown"),
        pytest.param(items(1), id="a number"),
        pytest.param(items(["m1"]), id="a list as identifier"),
        pytest.param({"batchItemFailures": [{"id": "m1"}]}, id="bad key name"),
        pytest.param({"batchItemFailures": [{}]}, id="no key"),
        pytest.param({"batchItemFailures": ["m1"]}, id="bare identifiers"),
        pytest.param({"batchItemFailures": [None]}, id="null item"),
        pytest.param({"batchItemFailures": "m1"}, id="a text for the list"),
        pytest.param({"batchItemFailures": {"itemIdentifier": "m1"}}, id="an object for the list"),
        pytest.param({"batchItemFailures": False}, id="false for the list"),
        pytest.param(["m1"], id="a list for the object"),
        pytest.param("done", id="a text for the object"),
        pytest.param(0, id="a number for the object"),
        pytest.param(b"{", id="no JSON"),
        pytest.param(b'{"a":' * 100_000, id="JSON without end"),
    ],
)
def test_what_cannot_be_understood_fails_the_whole_batch(answer: Any) -> None:
    assert failed(answer) == set(IDS)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.SUCCESS])
def test_an_invocation_without_an_answer_fails_the_whole_batch(outcome: Outcome) -> None:
    # Even when, by a defect, there is an answer that says otherwise.
    found = batch.failures(
        [message(i) for i in IDS], invocation(b'{"batchItemFailures":[]}', outcome)
    )
    assert found == dict.fromkeys(IDS, batch.Failure("Kind", "why"))


def test_the_event_is_lambdas() -> None:
    received = {
        "MessageId": "m1",
        "ReceiptHandle": "handle",
        "Body": 'quotes " and Grüße',
        "MD5OfBody": "d41d",
        "MD5OfMessageAttributes": "a1b2",
        "Attributes": {"ApproximateReceiveCount": "4", "SentTimestamp": "1"},
        "MessageAttributes": {
            "text": {"DataType": "String", "StringValue": "blue"},
            "count": {"DataType": "Number", "StringValue": "7"},
            "bytes": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
        },
    }
    item = batch.message(received)
    assert item.receive_count == 4
    assert json.loads(batch.event([item], ARN, "eu-west-1")) == {
        "Records": [
            {
                "messageId": "m1",
                "receiptHandle": "handle",
                "body": 'quotes " and Grüße',
                "attributes": {"ApproximateReceiveCount": "4", "SentTimestamp": "1"},
                "messageAttributes": {
                    "text": {
                        "stringValue": "blue",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "String",
                    },
                    "count": {
                        "stringValue": "7",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "Number",
                    },
                    "bytes": {
                        "binaryValue": "AP8=",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "Binary.png",
                    },
                },
                "md5OfBody": "d41d",
                "md5OfMessageAttributes": "a1b2",
                "eventSource": "aws:sqs",
                "eventSourceARN": ARN,
                "awsRegion": "eu-west-1",
            }
        ]
    }


def test_a_batch_beyond_the_payload_limit_is_cut_in_order() -> None:
    # Each quote is two bytes in JSON: what counts is the event's size, not the bodies'.
    messages = [message(str(n), Body='"' * 500_000) for n in range(14)]
    found = list(batch.parts(messages))
    assert [m.id for part in found for m in part] == [str(n) for n in range(14)]
    assert [len(part) for part in found] == [6, 6, 2]
    assert all(len(batch.event(part, ARN, "eu-west-1")) <= MAX_PAYLOAD_BYTES for part in found)


def test_a_single_message_is_never_cut_away() -> None:
    (only,) = batch.parts([message("big", Body="x" * (MAX_PAYLOAD_BYTES + 1))])
    assert [m.id for m in only] == ["big"]
    assert list(batch.parts([])) == []


def test_parts_with_large_attributes_stay_within_the_payload_limit() -> None:
    attribute = {"DataType": "String", "StringValue": "v" * 200_000}
    messages = [
        batch.message(
            {
                "MessageId": f"m{n}",
                "ReceiptHandle": "r",
                "Body": "b",
                "MessageAttributes": {f"a{i}": attribute for i in range(4)},
            }
        )
        for n in range(10)
    ]
    found = list(batch.parts(messages))
    assert [m.id for part in found for m in part] == [f"m{n}" for n in range(10)]
    assert len(found) == 2
    assert all(len(batch.event(part, ARN, "eu-west-1")) <= MAX_PAYLOAD_BYTES for part in found)


def test_event_with_half_a_surrogate_pair_is_valid_utf8() -> None:
    item = batch.message(
        {
            "MessageId": "m",
            "ReceiptHandle": "r",
            "Body": "b\ud800",
            "Attributes": {"AWSTraceHeader": "Root=\ud800"},
        }
    )
    (record,) = json.loads(batch.event([item], ARN, "eu-west-1"))["Records"]
    assert record["body"] == "b?"
    assert list(batch.parts([item])) == [(item,)]
