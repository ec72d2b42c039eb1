"""Events of SES, in the form of its documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.events.mail import MailEventType, parse_mail_event
from services.platform.errors import PermanentError

MAIL = {"messageId": "EXAMPLE7c191be45-e9aedb9a-000000", "destination": ["ann@example.org"]}


def bounce(**detail: Any) -> dict[str, Any]:
    recipients = [{"emailAddress": "Ann <ann@example.org>", "diagnosticCode": "smtp; 550"}]
    return {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": recipients} | detail,
        "mail": MAIL,
    }


def complaint(**detail: Any) -> dict[str, Any]:
    recipients = [{"emailAddress": "ann@example.org"}]
    return {
        "eventType": "Complaint",
        "complaint": {"complainedRecipients": recipients} | detail,
        "mail": MAIL,
    }


@pytest.mark.parametrize("wrapped", [True, False])
def test_permanent_bounce_is_final(wrapped: bool) -> None:
    body = json.dumps(bounce())
    event = parse_mail_event(
        json.dumps({"Type": "Notification", "Message": body}) if wrapped else body
    )
    assert (event.type, event.is_final) == (MailEventType.BOUNCE, True)
    assert event.recipients == ("ann@example.org",)
    assert event.ses_message_id == MAIL["messageId"]


@pytest.mark.parametrize(
    ("document", "is_final"),
    [
        (bounce(bounceType="Transient"), False),
        (bounce(bounceType="Undetermined"), False),
        (complaint(), True),
        (complaint(complaintFeedbackType=None), True),
        (complaint(complaintFeedbackType="abuse"), True),
        (complaint(complaintFeedbackType="not-spam"), False),
    ],
)
def test_event_is_final_by_its_reason(document: dict[str, Any], is_final: bool) -> None:
    assert parse_mail_event(json.dumps(document)).is_final is is_final


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"eventType": "Delivery", "mail": MAIL},
        {"eventType": "Bounce", "mail": MAIL},
        bounce(bouncedRecipients=[{"emailAddress": ""}]),
        bounce(bouncedRecipients=[3]),
        bounce(bouncedRecipients=None),
        {**bounce(), "mail": {}},
    ],
)
def test_message_that_is_no_event_raises_permanent_error(document: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="not an event of SES"):
        parse_mail_event(json.dumps(document))
