"""send-image-email's job on a real SES and DynamoDB: each e-mail once."""

from __future__ import annotations

import dataclasses
import json
import time
import urllib.request
import uuid
from typing import Any

import pytest

from services.events.images import ImageEvent, ImageEventType, publish
from services.mail.outbox import DeliveryUnknownError, Outbox
from services.mail.send_image_email import ImageMailer
from services.platform.errors import PermanentError, TransientError
from services.platform.functions.sqs import Message
from services.platform.idempotency import IdempotencyStore
from tests.integration.conftest import Provisioned

SENDER = "Darkroom <photos@darkroom.example>"


class Recorder:
    """Gives the text of an event as the topic would carry it."""

    def __init__(self) -> None:
        self.text = ""

    def publish(self, **arguments: Any) -> None:
        self.text = arguments["Message"]


def message(event: ImageEvent) -> Message:
    recorder = Recorder()
    publish(recorder, "topic", event)
    return Message("m", recorder.text, 1, False, time.monotonic() + 30)


@pytest.fixture
def event() -> ImageEvent:
    """One event with an address that no other test writes to."""
    identifier = uuid.uuid4().hex
    return ImageEvent(
        id=identifier,
        type=ImageEventType.DEVELOPED,
        time="2026-01-02T03:04:05Z",
        owner="ann",
        image_id="i",
        source_key="ann/1/a.jpg",
        filename="a.jpg",
        recipient=f"{identifier}@example.org",
        width=4,
        height=3,
        thumbnail_key="ann/i/thumb.jpg",
    )


@pytest.fixture
def mailer(provisioned: Provisioned) -> ImageMailer:
    session = provisioned.session
    return ImageMailer(
        s3=session.client("s3"),
        outbox=Outbox(
            session.client("ses"),
            IdempotencyStore(
                session.client("dynamodb"), provisioned.lab.table("idempotency"), 0.5, 3600
            ),
            SENDER,
        ),
        renditions_bucket=provisioned.lab.bucket("renditions"),
    )


def mails_to(provisioned: Provisioned, recipient: str | None) -> int:
    url = f"{provisioned.session.endpoint}/_ministack/ses/messages"
    with urllib.request.urlopen(url, timeout=10) as answer:
        sent = json.load(answer)
    return json.dumps(sent).count(f'"To": ["{recipient}"]')


def test_one_event_is_one_mail_however_often_it_comes(
    provisioned: Provisioned, mailer: ImageMailer, event: ImageEvent
) -> None:
    for _ in range(3):
        mailer.handle(message(event))
    assert mails_to(provisioned, event.recipient) == 1


def test_nobody_to_tell_is_no_error(
    provisioned: Provisioned, mailer: ImageMailer, event: ImageEvent
) -> None:
    mailer.handle(message(dataclasses.replace(event, recipient=None)))
    mailer.handle(message(dataclasses.replace(event, type=ImageEventType.DELETED)))
    assert mails_to(provisioned, event.recipient) == 0


class Interrupted(BaseException):
    """The process dies in the middle of the call."""


class Interrupting:
    """SES whose answer never reaches the caller, although the mail went out."""

    def __init__(self, ses: Any) -> None:
        self._ses = ses
        self.exceptions = ses.exceptions

    def send_raw_email(self, **arguments: Any) -> None:
        self._ses.send_raw_email(**arguments)
        raise Interrupted


def test_a_death_while_sending_is_told_and_not_repeated_until_a_person_says_so(
    provisioned: Provisioned, mailer: ImageMailer, event: ImageEvent
) -> None:
    dying = dataclasses.replace(
        mailer, outbox=dataclasses.replace(mailer.outbox, ses=Interrupting(mailer.outbox.ses))
    )
    with pytest.raises(Interrupted):
        dying.handle(message(event))
    with pytest.raises(TransientError, match="claimed for another"):
        mailer.handle(message(event))
    time.sleep(0.6)  # the lease ends
    for _ in range(3):  # also if the dead letter was kept, but the message not acknowledged
        with pytest.raises(DeliveryUnknownError, match="replay this dead letter"):
            mailer.handle(message(event))
    assert mails_to(provisioned, event.recipient) == 1
    replay = dataclasses.replace(message(event), replayed=True)
    mailer.handle(replay)
    assert mails_to(provisioned, event.recipient) == 2
    mailer.handle(replay)
    mailer.handle(message(event))
    assert mails_to(provisioned, event.recipient) == 2


def test_a_sender_that_ses_does_not_know_is_permanent_and_frees_the_claim(
    provisioned: Provisioned, mailer: ImageMailer, event: ImageEvent
) -> None:
    wrong = dataclasses.replace(
        mailer, outbox=dataclasses.replace(mailer.outbox, sender="nobody@unverified.example")
    )
    for _ in range(2):
        with pytest.raises(PermanentError, match="SES refuses the e-mail"):
            wrong.handle(message(event))
    mailer.handle(message(event))
    assert mails_to(provisioned, event.recipient) == 1
