"""E-mails of a lab whose calls to SQS, DynamoDB and SES are slow, lost or refused are sent once.

DARKROOM_FAULT_EMAILS sets the number of messages (default 100; the full test has 1000).
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.events.images import ImageEvent, ImageEventType, publish
from services.local import lab as labs
from services.local import status
from services.local.mailbox import sent_mails
from services.local.options import LabOptions
from services.local.state import LabFiles
from services.monitoring import dead_letters
from services.platform.manifest import Feature
from tests.support.emulator_mail import emulator_with_mailbox
from tests.support.fault_proxy import Fault, Rule, fault_proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

FUNCTION = "send-image-email"
MESSAGES = int(os.environ.get("DARKROOM_FAULT_EMAILS", "100"))
# Shares of the requests of each action. Answers that are lost cost a receive or repeat a request.
FAULTS = (
    *(Rule("ReceiveMessage", fault, 0.01) for fault in (Fault.RESET, Fault.FAILED, Fault.LOST)),
    *(
        Rule("DeleteMessageBatch", fault, 0.03)
        for fault in (Fault.RESET, Fault.FAILED, Fault.LOST, Fault.DENIED)
    ),
    Rule("SendMessage", Fault.LOST, 0.2),
    Rule("SendMessage", Fault.UNAVAILABLE, 0.2),
    Rule("PutItem", Fault.LOST, 0.03),
    Rule("PutItem", Fault.SLOW, 0.02),
    Rule("UpdateItem", Fault.LOST, 0.03),
    Rule("SendRawEmail", Fault.LOST, 0.02),
    Rule("SendRawEmail", Fault.SLOW, 0.02),
)


class _Recorder:
    """An SNS client that records what is published."""

    text = ""

    def publish(self, **arguments: Any) -> None:
        self.text = arguments["Message"]


def body(number: int) -> str:
    """The event of message `number`; invalid, in one of five ways, for one in twenty."""
    kind = number // 20 % 5 if number % 20 == 7 else None
    recipient = f"person{number:04d}@example.org"
    recorder = _Recorder()
    publish(
        recorder,
        "topic",
        ImageEvent(
            id=f"event-{number:04d}",
            type=ImageEventType.REJECTED,
            time="2026-01-02T03:04:05Z",
            owner="ann",
            image_id=f"image-{number:04d}",
            source_key=f"ann/{number}/a.jpg",
            filename=f"photo {number}.jpg",
            recipient=f"{recipient}\r\nBcc: all@example.org" if kind == 3 else recipient,
            reason="damaged",
            message="The file is damaged.",
        ),
    )
    other = {0: "no JSON", 1: "{}", 2: "[" * 100_000, 4: recorder.text.replace("image.", "video.")}
    return recorder.text if kind is None else other.get(kind, recorder.text)


POISON = {body(n) for n in range(MESSAGES) if n % 20 == 7}
GOOD = {f"event-{n:04d}" for n in range(MESSAGES) if n % 20 != 7}


def test_email_calls_that_fail_send_each_email_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PHOTOS_PER_DAY", "0")  # an e-mail about each photo
    monkeypatch.setenv("WORKER_VISIBILITY_SECONDS", "6")
    monkeypatch.setenv("WORKER_BACKOFF_BASE_SECONDS", "1")
    monkeypatch.setenv("WORKER_POLL_WAIT_SECONDS", "2")
    root, mail = tmp_path / "lab", tmp_path / "mail"
    with (
        emulator_with_mailbox(tmp_path, mail) as emulator,
        fault_proxy(emulator.endpoint) as proxy,
    ):
        options = LabOptions(workers=2, concurrency=2, features=(Feature.PHOTOS,), cloud=proxy.url)
        lab = labs.up(root, options)
        try:
            proxy.rules = FAULTS
            sqs, queue = lab.session.client("sqs"), lab.queues[FUNCTION]
            for start in range(0, MESSAGES, 10):
                sqs.send_message_batch(
                    QueueUrl=queue.url,
                    Entries=[
                        {"Id": str(n), "MessageBody": body(n)}
                        for n in range(start, min(start + 10, MESSAGES))
                    ],
                )

            def depth() -> status.QueueDepth:
                """Asked again while a busy machine does not answer in time."""
                queues = eventually(
                    lambda: status.report(lab, LabFiles(root)).queues, "the emulator answers"
                )
                assert queues is not None
                return queues[FUNCTION]

            def quiet() -> bool:
                found = depth()
                return not (found.waiting or found.in_flight)

            eventually(quiet, "no message is left", 240, 0.5)
            proxy.rules = ()
            letters = dead_letters.peek(sqs, lab.queues)
            count = depth().dead_letters
            # A worker reports its last failed call until it has polled again.
            eventually(
                lambda: not status.report(lab, LabFiles(root)).problems, "no problem is left"
            )
        finally:
            proxy.rules = ()
            labs.down(root)
        eventually(lambda: len(list(mail.glob("*.eml"))) >= len(GOOD), "the e-mails are there")
        sent = Counter(one.event_id for one in sent_mails(mail))

    assert sent == dict.fromkeys(GOOD, 1)
    assert count == len(letters)
    # An e-mail whose answer was lost was sent, and is a dead letter for a person to look at.
    unknown = {one.body for one in letters if one.error_type == "DeliveryUnknownError"}
    assert len(unknown) == proxy.faults["SendRawEmail", Fault.LOST]
    assert {one.body for one in letters} == POISON | unknown
    assert {one.error_type for one in letters} == {"PermanentError", "DeliveryUnknownError"}
