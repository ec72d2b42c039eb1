"""The configured parts of an e-mail, the greeting and the link, as a mail program shows them."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

from services.mail.configuration import MailConfiguration, make_outbox
from services.mail.letter import Letter, Link, Stationery, write
from services.platform.configuration import read

LETTER = Letter("Subject", "Headline.", ("Line.",), reference="order-1")
REQUIRED = {
    "MAIL_SENDER": "Darkroom <photos@darkroom.example>",
    "IDEMPOTENCY_TABLE": "t",
    "RECIPIENTS_TABLE": "r",
}


def sent(letter: Letter, stationery: Stationery) -> EmailMessage:
    raw = write(letter, stationery, "ann@example.org", "event-1")
    assert raw.isascii()
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def text(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_greeting_names_the_recipient_in_one_line() -> None:
    letter = Letter("S", "H", ("Line.",), name="Ann\r\nBcc: <b>\u202e")
    message = sent(letter, Stationery("photos@darkroom.example"))
    assert "Hello Ann Bcc: <b>,\n\nLine." in text(message)
    assert "Hello Ann Bcc: &lt;b&gt;," in text(message, "html")


def test_letter_without_name_has_no_greeting() -> None:
    assert "Hello" not in text(sent(LETTER, Stationery("photos@darkroom.example")))


def test_link_is_in_both_parts_and_its_url_is_escaped() -> None:
    letter = Letter("S", "H", (), link=Link("Your photo", "https://shop.example/photos/1?a=1&b=2"))
    message = sent(letter, Stationery("photos@darkroom.example"))
    assert "Your photo: https://shop.example/photos/1?a=1&b=2\n" in text(message)
    assert 'href="https://shop.example/photos/1?a=1&amp;b=2"' in text(message, "html")


def test_reply_to_imprint_and_reference_come_from_configuration() -> None:
    stationery = Stationery(
        "Foto Müller <a@b.example>", "Hilfe für alle <help@b.example>", "Müller GmbH, 20457 Hamburg"
    )
    message = sent(LETTER, stationery)
    assert message["From"] == "Foto Müller <a@b.example>"
    assert message["Reply-To"] == "Hilfe für alle <help@b.example>"
    assert message["X-Darkroom-Reference"] == "order-1"
    assert text(message).endswith("Foto Müller\n\nMüller GmbH, 20457 Hamburg\n")
    assert "Müller GmbH, 20457 Hamburg" in text(message, "html")


def test_letter_without_configuration_has_no_optional_header() -> None:
    message = sent(Letter("S", "H", ()), Stationery("a@b.example"))
    assert {"Reply-To", "X-Darkroom-Reference"} & set(message.keys()) == set()
    assert text(message).endswith("Darkroom\n")


def test_reply_to_with_line_break_adds_no_header() -> None:
    message = sent(LETTER, Stationery("a@b.example", "x <y@z.example>\r\nBcc: <e@f.example>"))
    assert (message["Reply-To"], message["Bcc"]) == ("x <y@z.example>", None)


def test_outbox_from_environment_has_stationery_and_links() -> None:
    environ = REQUIRED | {
        "MAIL_REPLY_TO": "help@darkroom.example",
        "MAIL_IMPRINT": "Darkroom GmbH",
        "MAIL_SITE_URL": "https://shop.example/de/",
    }
    outbox = make_outbox(read(MailConfiguration, environ), ses=object(), dynamodb=object())
    assert outbox.stationery == Stationery(
        "Darkroom <photos@darkroom.example>", "help@darkroom.example", "Darkroom GmbH"
    )
    assert outbox.link("Your photo", "photos", "a/b") == Link(
        "Your photo", "https://shop.example/de/photos/a%2Fb"
    )


def test_outbox_without_website_makes_no_link() -> None:
    outbox = make_outbox(read(MailConfiguration, REQUIRED), ses=object(), dynamodb=object())
    assert outbox.link("Your photo", "photos", "1") is None


def test_letter_with_unsubscribe_url_has_one_click_headers_and_link() -> None:
    url = f"https://api.example/unsubscribe/{'0' * 64}"
    raw = write(
        Letter("S", "H", (), unsubscribe_url=url), Stationery("a@b.example"), "ann@c.example", "e"
    )
    # RFC 8058 section 3.1: an HTTPS URI and this value.
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in raw
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert text(message).endswith(f"No more e-mails about photos: {url}\n")
    assert f'href="{url}"' in text(message, "html")


def test_letter_without_unsubscribe_url_has_no_unsubscribe_header() -> None:
    message = sent(LETTER, Stationery("a@b.example"))
    assert [name for name in message if name.startswith("List-")] == []
