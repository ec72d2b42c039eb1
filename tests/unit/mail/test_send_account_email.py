"""The letters that prove access to an address."""

from __future__ import annotations

import pytest

from services.accounts.address_codes import IssuedCode
from services.accounts.users import AccountHolder
from services.local.mailbox import code_in
from services.mail import send_account_email
from services.mail.letter import Stationery, write
from services.mail.outbox import Outbox

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
