"""E-mails while a quota of SES is used up, with its own answers: they come later, and use up no
receive of their message."""

from __future__ import annotations

import http.server
import json
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from services.local.emulator import Emulator
from services.mail.letter import Letter, Stationery
from services.mail.outbox import Outbox
from services.platform.aws import clients
from services.platform.functions.sqs import POSTPONED, POSTPONED_MAX, Message, queue_function
from services.platform.idempotency import IdempotencyStore
from tests.integration.conftest import Provisioned
from tests.support.log_lines import events

# https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html
RATE = "Maximum sending rate exceeded."
DAY = "Daily message quota exceeded."
ANSWER = """<SendRawEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/">
<SendRawEmailResult><MessageId>accepted</MessageId></SendRawEmailResult></SendRawEmailResponse>"""
ERROR = """<ErrorResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><Error><Type>Sender</Type>
<Code>Throttling</Code><Message>{}</Message></Error><RequestId>r</RequestId></ErrorResponse>"""


class Ses:
    """SES over HTTP: throttles with `refusal` while there is one."""

    def __init__(self) -> None:
        self.refusal: str | None = RATE
        self.accepted = 0
        ses = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                refusal = ses.refusal
                ses.accepted += refusal is None
                body = (ANSWER if refusal is None else ERROR.format(refusal)).encode()
                self.send_response(200 if refusal is None else 400)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def ses() -> Iterator[Ses]:
    made = Ses()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


class Context:
    aws_request_id = "request-1"
    function_name = "send-image-email"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class MailQueue:
    """The queue of send-image-email, and a handler that sends one e-mail for each message."""

    def __init__(self, provisioned: Provisioned) -> None:
        session = provisioned.session
        self.sqs = session.client("sqs")
        self.urls = provisioned.lab.queues["send-image-email"]
        store = IdempotencyStore(
            session.client("dynamodb"), provisioned.lab.table("idempotency"), 45, 3600
        )
        outbox = Outbox(
            clients.client("ses", attempts=1),
            store,
            None,
            Stationery("Darkroom <photos@darkroom.example>"),
            sleep=lambda _seconds: None,
        )

        def work(message: Message) -> None:
            outbox.send(message.body, "ann@example.org", Letter("s", "h", ("line",)))

        self.handler = queue_function(work)

    def handle(self, **attributes: str) -> Any:
        """Receives one message and handles it as Lambda does. Returns it, None without one."""
        found = self.sqs.receive_message(
            QueueUrl=self.urls.url,
            WaitTimeSeconds=15,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages")
        if not found:
            return None
        (message,) = found
        message["MessageAttributes"] = message.get("MessageAttributes", {}) | {
            name: {"DataType": "Number", "StringValue": value} for name, value in attributes.items()
        }
        record = {
            "messageId": message["MessageId"],
            "body": message["Body"],
            "eventSource": "aws:sqs",
            "attributes": message["Attributes"],
            "messageAttributes": {
                name: {"dataType": value["DataType"], "stringValue": value["StringValue"]}
                for name, value in message["MessageAttributes"].items()
            },
        }
        answer = self.handler({"Records": [record]}, Context())
        message["failed"] = bool(answer["batchItemFailures"])
        if not message["failed"]:
            self.sqs.delete_message(QueueUrl=self.urls.url, ReceiptHandle=message["ReceiptHandle"])
        return message


@pytest.fixture
def queue(
    provisioned: Provisioned, cloud: Emulator, ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MailQueue]:
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SES", ses.url)
    monkeypatch.setenv("QUEUE_URL", provisioned.lab.queues["send-image-email"].url)
    clients.client.cache_clear()
    clients.session.cache_clear()
    yield MailQueue(provisioned)
    clients.client.cache_clear()
    clients.session.cache_clear()


def test_email_over_the_sending_rate_comes_later_without_using_up_receives(
    queue: MailQueue, ses: Ses
) -> None:
    queue.sqs.send_message(
        QueueUrl=queue.urls.url,
        MessageBody=uuid.uuid4().hex,
        MessageAttributes={"correlation_id": {"DataType": "String", "StringValue": "c-1"}},
    )
    first = queue.handle()
    assert first is not None
    assert not first["failed"]
    assert ses.accepted == 0
    began = time.monotonic()
    second = queue.handle()
    assert second is not None
    assert time.monotonic() - began > 1, "expected a delay"
    assert second["Body"] == first["Body"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "1"
    assert second["MessageAttributes"]["correlation_id"]["StringValue"] == "c-1"
    assert second["MessageAttributes"][POSTPONED]["StringValue"] == "1"
    ses.refusal = None
    third = queue.handle()
    assert third is not None
    assert third["MessageAttributes"][POSTPONED]["StringValue"] == "2"
    assert (third["failed"], ses.accepted) == (False, 1)


def test_email_over_the_quota_of_the_day_comes_after_minutes(
    queue: MailQueue, ses: Ses, capsys: pytest.CaptureFixture[str]
) -> None:
    ses.refusal = DAY
    queue.sqs.send_message(QueueUrl=queue.urls.url, MessageBody=uuid.uuid4().hex)
    message = queue.handle()
    assert message is not None
    assert not message["failed"]
    (line,) = [e for e in events(capsys.readouterr().out) if e["event"] == "message_postponed"]
    assert 600 <= line["delay_seconds"] <= 900
    waiting = queue.sqs.get_queue_attributes(QueueUrl=queue.urls.url, AttributeNames=["All"])
    assert waiting["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1"


def test_email_that_was_postponed_too_often_fails(queue: MailQueue, ses: Ses) -> None:
    queue.sqs.send_message(
        QueueUrl=queue.urls.url, MessageBody=json.dumps({"id": uuid.uuid4().hex})
    )
    message = queue.handle(**{POSTPONED: str(POSTPONED_MAX)})
    assert message is not None
    assert message["failed"]
    assert ses.accepted == 0


def test_email_fails_where_the_function_cannot_send_to_its_queue(
    queue: MailQueue, provisioned: Provisioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUEUE_URL")
    without = MailQueue(provisioned)
    without.sqs.send_message(QueueUrl=without.urls.url, MessageBody=uuid.uuid4().hex)
    message = without.handle()
    assert message is not None
    assert message["failed"]
