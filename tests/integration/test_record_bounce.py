"""record-bounce and the table of recipients, on the emulator's DynamoDB."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from services.mail.recipients import (
    EmailKind,
    Recipients,
    RecipientSettings,
    Suppression,
)
from services.mail.record_bounce import RecordBounce
from services.platform.functions.sqs import Message
from tests.integration.conftest import Provisioned


def message(document: dict[str, Any]) -> Message:
    return Message("m", json.dumps(document), 1, False, time.monotonic() + 30)


def bounce(address: str, kind: str) -> Message:
    detail = {"bounceType": kind, "bouncedRecipients": [{"emailAddress": address}]}
    return message({"eventType": "Bounce", "bounce": detail, "mail": {"messageId": "1"}})


@pytest.fixture
def recipients(provisioned: Provisioned) -> Recipients:
    return Recipients(provisioned.session.client("dynamodb"), provisioned.lab.table("recipients"))


@pytest.fixture
def address() -> str:
    return f"{uuid.uuid4().hex}@example.org"


def test_permanent_bounce_stops_every_email(recipients: Recipients, address: str) -> None:
    for _ in range(2):
        RecordBounce(recipients).handle(bounce(address.upper(), "Permanent"))
    settings = recipients.settings(address)
    assert settings.suppression is Suppression.BOUNCE
    assert {settings.reason_against(kind) for kind in EmailKind} == {"bounce"}


def test_transient_bounce_stops_nothing(recipients: Recipients, address: str) -> None:
    RecordBounce(recipients).handle(bounce(address, "Transient"))
    assert recipients.settings(address) == RecipientSettings()


def test_complaint_stops_every_email_and_keeps_the_choice(
    recipients: Recipients, address: str
) -> None:
    recipients.choose_photo_emails(address, wanted=False)
    detail = {"complainedRecipients": [{"emailAddress": address}]}
    RecordBounce(recipients).handle(
        message({"eventType": "Complaint", "complaint": detail, "mail": {"messageId": "1"}})
    )
    assert recipients.settings(address) == RecipientSettings(False, Suppression.COMPLAINT)


def test_unsubscribed_recipient_gets_emails_about_orders_only(
    recipients: Recipients, address: str
) -> None:
    settings = recipients.choose_photo_emails(address, wanted=False)
    assert settings.reason_against(EmailKind.PHOTO) == "unsubscribed"
    assert settings.reason_against(EmailKind.ESSENTIAL) is None
