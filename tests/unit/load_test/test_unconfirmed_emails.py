"""E-mails in doubt: what the mailbox has was sent, what it has not is replayed."""

from __future__ import annotations

import json
from typing import Any

from services.events.images import ImageEvent, ImageEventType, publish
from services.load_test import unconfirmed_emails
from services.load_test.unconfirmed_emails import UnconfirmedEmail, Verdict
from services.local.provision import FunctionQueue
from services.mail.outbox import DeliveryUnknownError
from services.platform.aws import dead_letter

QUEUES = {"send-image-email": FunctionQueue("queue", "", "dead", "")}


class FakeSqs:
    """Two queues in memory: messages by queue URL."""

    def __init__(self) -> None:
        self.messages: dict[str, list[dict[str, Any]]] = {"queue": [], "dead": []}
        self.hidden: set[str] = set()

    def put_dead(self, number: int, error_type: str | None) -> None:
        """A dead letter of a function, or of SQS itself, which has no error type."""
        attributes = (
            dead_letter.attributes("reason", error_type, "request", 1, "send-image-email")
            if error_type
            else {}
        )
        self.messages["dead"].append(
            {
                "MessageId": f"message-{number}",
                "ReceiptHandle": f"handle-{number}",
                "Body": _body(number),
                "Attributes": {"SentTimestamp": "0"},
                "MessageAttributes": attributes,
            }
        )

    def receive_message(self, **call: Any) -> dict[str, Any]:
        shown = [
            m for m in self.messages[call["QueueUrl"]] if m["ReceiptHandle"] not in self.hidden
        ]
        self.hidden |= {m["ReceiptHandle"] for m in shown}
        return {"Messages": shown}

    def get_queue_attributes(self, **call: Any) -> dict[str, Any]:
        count = len(self.messages[call["QueueUrl"]])
        return {"Attributes": {"ApproximateNumberOfMessages": str(count)}}

    def change_message_visibility_batch(self, **call: Any) -> None:
        self.hidden -= {entry["ReceiptHandle"] for entry in call["Entries"]}

    def send_message(self, **call: Any) -> None:
        self.messages[call["QueueUrl"]].append({"Body": call["MessageBody"]})

    def delete_message(self, **call: Any) -> None:
        kept = [
            m
            for m in self.messages[call["QueueUrl"]]
            if m["ReceiptHandle"] != call["ReceiptHandle"]
        ]
        self.messages[call["QueueUrl"]] = kept


class Recorder:
    message = ""

    def publish(self, **arguments: str) -> None:
        self.message = arguments["Message"]


def _body(number: int) -> str:
    recorder = Recorder()
    event = ImageEvent(
        f"event-{number}", ImageEventType.DEVELOPED, "now", "owner", "image", "key", "photo.jpg"
    )
    publish(recorder, "", event)
    return recorder.message


def test_unconfirmed_emails_are_resolved_by_mailbox_and_others_stay() -> None:
    sqs = FakeSqs()
    sqs.put_dead(1, DeliveryUnknownError.__name__)
    sqs.put_dead(2, DeliveryUnknownError.__name__)
    sqs.put_dead(3, "TimeoutError")
    sqs.put_dead(4, None)
    sqs.put_dead(5, None)

    found = unconfirmed_emails.resolve(sqs, QUEUES, frozenset({"event-1", "event-3", "event-4"}))

    assert sorted(found, key=lambda email: email.event_id) == [
        UnconfirmedEmail("event-1", Verdict.SENT),
        UnconfirmedEmail("event-2", Verdict.REPLAYED),
        UnconfirmedEmail("event-4", Verdict.SENT),
        UnconfirmedEmail("event-5", Verdict.REPLAYED),
    ]
    replayed = {json.loads(message["Body"])["id"] for message in sqs.messages["queue"]}
    assert replayed == {"event-2", "event-5"}
    assert [m["MessageId"] for m in sqs.messages["dead"]] == ["message-3"]


def test_resolve_without_unconfirmed_emails_changes_nothing() -> None:
    sqs = FakeSqs()
    sqs.put_dead(3, "TimeoutError")
    assert unconfirmed_emails.resolve(sqs, QUEUES, frozenset()) == []
    assert len(sqs.messages["dead"]) == 1
    assert not sqs.messages["queue"]
