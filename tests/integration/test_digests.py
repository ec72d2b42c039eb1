"""E-mails about many photos of one day: some by themselves, the others in a digest."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import Any

import pytest

from services.events.images import ImageEvent, ImageEventType
from services.mail.configuration import MailConfiguration
from services.mail.digests import DIGEST_SECONDS, Digests, make_digests, parse_digest
from services.mail.send_image_email import SendImageEmail
from services.platform.configuration import read
from services.platform.functions.sqs import Message
from services.platform.idempotency import IdempotencyStore
from tests.integration.conftest import Provisioned
from tests.integration.test_send_image_email import (
    emails_to,
    event,
    function,
    message,
    photo_email,
    recipients_of,
)

__all__ = ["event", "function"]


class RecordingSqs:
    """An SQS client that records the messages that are sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **arguments: Any) -> None:
        self.sent.append(arguments)


@pytest.fixture
def sqs() -> RecordingSqs:
    return RecordingSqs()


@pytest.fixture
def limited(function: SendImageEmail, sqs: RecordingSqs) -> SendImageEmail:
    """send-image-email with two e-mails a day for each recipient."""
    store = function.outbox.idempotency
    lasting = IdempotencyStore(store.dynamodb, store.table, 45, 3600)
    digests = Digests(recipients_of(function), lasting, lambda: sqs, "http://queue", 2)
    return dataclasses.replace(function, digests=digests)


def photos(event: ImageEvent, count: int, **changes: Any) -> list[Message]:
    return [
        message(dataclasses.replace(event, id=uuid.uuid4().hex, **changes)) for _ in range(count)
    ]


def digest(sqs: RecordingSqs, number: int = 0) -> Message:
    sent = sqs.sent[number]
    assert sent["QueueUrl"] == "http://queue"
    assert sent["DelaySeconds"] == DIGEST_SECONDS
    return Message("m", sent["MessageBody"], 1, False, 1e12)


def test_photos_beyond_the_limit_share_one_email(
    provisioned: Provisioned, limited: SendImageEmail, event: ImageEvent, sqs: RecordingSqs
) -> None:
    for one in photos(event, 2 + 24):
        limited.handle(one)
        limited.handle(one)
    assert emails_to(provisioned, event.recipient) == 2
    assert len(sqs.sent) == 1
    for _ in range(3):
        limited.handle(digest(sqs))
    assert emails_to(provisioned, event.recipient) == 3


def test_digest_counts_ready_and_refused_photos(
    provisioned: Provisioned, limited: SendImageEmail, event: ImageEvent, sqs: RecordingSqs
) -> None:
    assert limited.digests is not None
    strict = dataclasses.replace(limited, digests=dataclasses.replace(limited.digests, per_day=0))
    rejected = {"type": ImageEventType.REJECTED, "reason": "damaged", "message": "Damaged."}
    for one in [*photos(event, 24), *photos(event, 1, **rejected)]:
        strict.handle(one)
    strict.handle(digest(sqs))
    text = photo_email(provisioned, event.recipient)
    assert "24 photos are ready." in text
    assert "1 photo could not be developed." in text


def test_next_digest_is_requested_after_the_last_and_a_lost_request_is_repeated(
    provisioned: Provisioned, limited: SendImageEmail, event: ImageEvent, sqs: RecordingSqs
) -> None:
    for one in photos(event, 3):
        limited.handle(one)
    limited.handle(digest(sqs))
    for one in photos(event, 2):
        limited.handle(one)
    assert len(sqs.sent) == 2
    limited.handle(digest(sqs, 1))
    assert emails_to(provisioned, event.recipient) == 4
    # The message about a digest got lost: after its time it is requested again.
    assert event.recipient is not None
    recipients_of(limited).set_digest_due(event.recipient, 1)
    for one in photos(event, 1):
        limited.handle(one)
    assert len(sqs.sent) == 3


def test_recipient_of_a_new_day_gets_emails_by_themselves(
    provisioned: Provisioned, limited: SendImageEmail, event: ImageEvent
) -> None:
    for one in photos(event, 3):
        limited.handle(one)
    assert limited.digests is not None
    clock = limited.digests.clock
    tomorrow = dataclasses.replace(
        limited,
        digests=dataclasses.replace(limited.digests, clock=lambda: clock() + 24 * 3600),
    )
    for one in photos(event, 1):
        tomorrow.handle(one)
    assert emails_to(provisioned, event.recipient) == 3


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        '{"photo_digest": 1}',
        '{"photo_digest": {"id": "x"}}',
        '{"photo_digest": ' + "[" * 99_999,
    ],
)
def test_message_that_requests_no_digest_is_not_one(body: str) -> None:
    assert parse_digest(body) is None


def test_digest_request_is_read_back() -> None:
    request = {"id": "d", "recipient": "a@example.org", "recipient_name": "A", "on_website": True}
    found = parse_digest(json.dumps({"photo_digest": request}))
    assert found is not None
    assert dataclasses.asdict(found) == request


def test_function_makes_digests_unless_its_limit_is_zero(function: SendImageEmail) -> None:
    required = {"RECIPIENTS_TABLE": "r", "IDEMPOTENCY_TABLE": "i", "MAIL_SENDER": "a@example.org"}
    default = read(MailConfiguration, required).photo_emails_per_day
    unlimited = read(MailConfiguration, {**required, "MAIL_PHOTOS_PER_DAY": "0"})
    digests = make_digests(function.outbox, "http://queue", default)
    assert digests is not None
    assert digests.per_day == default
    assert make_digests(function.outbox, "http://queue", unlimited.photo_emails_per_day) is None
