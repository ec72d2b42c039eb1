"""The unsubscribe link of an e-mail, as mail programs and people use it."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from pathlib import Path

import httpx

from services.local.mailbox import SentMail, sent_mails
from services.local.state import LabState
from services.mail.recipients import Recipients, Suppression
from tests.integration.api.conftest import Customer
from tests.support.photos import jpeg, scene
from tests.support.waiting import eventually


def mails_to(lab: LabState, recipient: str) -> list[SentMail]:
    return [mail for mail in sent_mails(Path(lab.mail_folder)) if mail.recipient == recipient]


def test_one_click_unsubscribe_stops_emails_about_photos(
    lab: LabState, new_customer: Callable[..., Customer], tmp_path: Path
) -> None:
    customer, other = new_customer(), new_customer()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(scene(200, 300)))
    customer.api.developed(customer.api.upload(photo))
    (mail,) = eventually(lambda: mails_to(lab, customer.email), "the e-mail about the photo")
    head = email.message_from_bytes(mail.path.read_bytes(), policy=email.policy.default)
    assert head["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = str(head["List-Unsubscribe"]).strip("<>")
    assert url.startswith(f"{lab.api}/unsubscribe/")

    page = httpx.get(url)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<form method="post"' in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    # A browser sends the form without a body, a mail program as RFC 8058 says.
    for form in ({}, {"List-Unsubscribe": "One-Click"}):
        answer = httpx.post(url, data=form)
        assert (answer.status_code, "You get no more" in answer.text) == (200, True)

    photo.write_bytes(jpeg(scene(210, 300)))
    customer.api.developed(customer.api.upload(photo))
    # The e-mail to another customer, sent later, shows that the queue is past the photo.
    other.api.developed(other.api.upload(photo))
    eventually(lambda: mails_to(lab, other.email), "the e-mail to the other customer")
    assert len(mails_to(lab, customer.email)) == 1


def test_email_settings_are_changed_and_read(
    lab: LabState, new_customer: Callable[..., Customer]
) -> None:
    customer = new_customer()
    change = customer.api.change_email_settings
    assert change() == {"photo_emails": True, "stopped_by": None}
    assert change(photo_emails=False) == {"photo_emails": False, "stopped_by": None}
    assert change() == {"photo_emails": False, "stopped_by": None}
    Recipients(lab.session.client("dynamodb"), lab.tables["recipients"]).suppress(
        customer.email, Suppression.BOUNCE
    )
    assert change(photo_emails=True) == {"photo_emails": True, "stopped_by": "bounce"}
