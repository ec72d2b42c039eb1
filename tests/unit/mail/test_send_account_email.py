"""The letters that prove access to an address."""

from __future__ import annotations

import pytest

from services.accounts.address_codes import IssuedCode
from services.accounts.users import AccountHolder
from services.events.accounts import AccountEvent, AccountEventType
from services.local.mailbox import code_in
from services.mail import send_account_email
from services.mail.letter import Stationery, write
from services.mail.outbox import Outbox
from tests.support.declarations import manifests

STATIONERY = Stationery("Darkroom <photos@darkroom.example>")
ISSUED = IssuedCode("t" * 43, "7K2M-9QXB")
HOLDER = AccountHolder("id", "ada@example.com", "Ada", is_closed=False)


def outbox(site_url: str | None) -> Outbox:
    return Outbox(None, None, None, STATIONERY, site_url)  # type: ignore[arg-type]


def test_confirmation_has_code_and_link() -> None:
    link = outbox("https://shop.example/de").page_link("Confirm", "confirm", ISSUED.token)
    letter = send_account_email.confirmation(ISSUED, link)
    text = write(letter, STATIONERY, HOLDER.email, "event").decode()
    assert code_in(text) == ISSUED.code
    # What follows # is not sent to the website's server.
    assert f"https://shop.example/de/#/confirm/{ISSUED.token}" in text.replace("=\r\n", "")
    assert "Subject: Confirm your e-mail address" in text
    assert ISSUED.code not in letter.subject


def test_without_website_there_is_no_link() -> None:
    assert outbox(None).page_link("Confirm", "confirm", ISSUED.token) is None


@pytest.mark.parametrize(("closed", "expected"), [(False, "sign in"), (True, "being deleted")])
def test_account_exists_says_what_to_do(closed: bool, expected: str) -> None:
    holder = AccountHolder("id", "ada@example.com", "Ada", is_closed=closed)
    letter = send_account_email.account_exists(holder)
    text = write(letter, STATIONERY, holder.email, "event").decode()
    assert expected in text
    assert "Hello Ada," in text
    assert code_in(text) is None


@pytest.mark.parametrize("type_", send_account_email.NOTICES)
def test_notice_has_no_placeholder_and_says_what_to_do(type_: AccountEventType) -> None:
    event = AccountEvent("id", type_, "2026-11-28T06:40:59.123+02:00", HOLDER.email)
    letter = send_account_email.NOTICES[type_].letter(HOLDER, event)
    text = " ".join(letter.lines)
    assert "{" not in text
    assert "you" in text
    if type_ is AccountEventType.SIGNED_IN_FROM_NEW_NETWORK:
        assert "sign in on 2026-11-28 04:40 UTC" in text
        assert "change your password" in text


def test_every_account_event_reaches_the_function() -> None:
    (function,) = (one for one in manifests() if one.name == "send-account-email")
    assert function.queue
    (source,) = function.queue.sources
    assert source.filter
    assert set(source.filter["type"]) == {*AccountEventType}
