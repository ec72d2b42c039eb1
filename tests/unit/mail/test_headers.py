"""Text of customers in the headers of an e-mail."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from services.mail.headers import LINE_BYTES_MAX, check_address, check_head, encode_text, one_line
from services.mail.letter import Letter, Stationery, write
from services.platform.errors import PermanentError

SENDER = "Darkroom <photos@darkroom.example>"
STATIONERY = Stationery(SENDER)
HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Auto-Submitted",
    "X-Darkroom-Event-Id",
    "MIME-Version",
    "Content-Type",
]
# Encoded-words (RFC 2047) of line breaks, headers and bodies, and other attempts to add them.
ATTACKS = [
    "=?utf-8?q?x=0D=0AReply-To:_a@b.example=0D=0AContent-Type:_text/html=0D=0A=0D=0A<h1>hi?=.jpg",
    "=?utf-8?b?eA0KQmNjOiBldmVAZXhhbXBsZS5vcmcNCg0KPGgxPg==?=",
    "=?us-ascii?q?a=0ABcc:_eve@example.org?= =?utf-8?q?=0D=0A=0D=0Abody?=",
    "a\r\nBcc: eve@example.org\r\n\r\n<h1>",
    "a\rBcc: eve@example.org",
    "a\u2028Bcc: eve@example.org\x85\x0b\x0cBcc: eve@example.org",
    "\x1b[2Jerased \u202egpj.exe \u2066x\u2069\x00",
    "n" * 3000,
    "é" * 3000,
    " \t ",
    "",
]


def parsed(subject: str) -> EmailMessage:
    raw = write(Letter(subject, "Headline", ("Line",)), STATIONERY, "ann@example.org", "event-1")
    assert raw.isascii()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("text", ATTACKS)
def test_subject_with_attack_adds_no_header_and_no_body(text: str) -> None:
    raw = write(Letter(text, "Headline", ("Line",)), STATIONERY, "ann@example.org", "event-1")
    # The bytes, not a parser's view: each line is one of the headers or its continuation.
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = [line.partition(b":")[0].decode() for line in lines if line[:1] not in (b" ", b"\t")]
    assert names == HEADERS
    assert max(map(len, lines)) <= LINE_BYTES_MAX
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    assert [*message.keys()] == HEADERS
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("text", ["plain.jpg", "été & <b>.jpg", "李小龙.heic", "a? =b", "x" * 200])
def test_subject_is_unchanged_by_encoding(text: str) -> None:
    assert parsed(text)["Subject"] == text


def test_subject_that_looks_encoded_is_encoded() -> None:
    encoded = encode_text("Subject", ATTACKS[0])
    ((value, charset),) = email.header.decode_header(encoded)
    assert value.decode(charset or "ascii") == ATTACKS[0]


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?victim=40bank.example=2C?=@example.com",
        "a@example.org, b@example.org",
        "a@example.org\r\nBcc: b@example.org",
        "Ann <ann@example.org>",
        '"a b"@example.org',
        "ann@[127.0.0.1]",
        "ann@localhost",
        "ann",
        "",
        "änn@example.org",
        "a" * 250 + "@example.org",
    ],
)
def test_recipient_that_is_not_one_address_raises_permanent_error(address: str) -> None:
    with pytest.raises(PermanentError, match="not an e-mail address"):
        check_address(address)
    with pytest.raises(PermanentError, match="not an e-mail address"):
        write(Letter("s", "h", ()), STATIONERY, address, "event-1")


@pytest.mark.parametrize("address", ["ann@example.org", "o'neil_%x+a=b@sub-domain.example.museum"])
def test_recipient_that_is_one_address_is_accepted(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize(
    "head",
    [
        b"From: a\r\nTo: b\r\nBcc: c\r\n\r\n",
        b"From: a\r\n\r\n",
        b"To: b\r\nFrom: a\r\n\r\n",
        b"From: a\r\nTo: b\r\nTo: b\r\n\r\n",
        b"From: a\nBcc: c\r\nTo: b\r\n\r\n",
        b"From: a\rBcc: c\r\nTo: b\r\n\r\n",
        b"From: \xc3\xa9\r\nTo: b\r\n\r\n",
        b"From: a\r\n \r\nTo: b\r\n\r\n",
        b" From: a\r\nTo: b\r\n\r\n",
        b"From: a\r\nTo: b\r\n",
        b"From: " + b"a" * 1000 + b"\r\nTo: b\r\n\r\n",
    ],
)
def test_head_with_other_headers_or_lines_raises_permanent_error(head: bytes) -> None:
    with pytest.raises(PermanentError, match="head"):
        check_head(head, ("From", "To"))


def test_head_with_expected_headers_is_accepted() -> None:
    check_head(b"From: a\r\n b\r\nTo: c\r\n\r\nBcc: in the body\n", ("From", "To"))


def test_one_line_removes_control_and_bidirectional_characters() -> None:
    assert one_line("a\x1b[2J\u202eb\u2066c\r\nd\x00") == "a [2J b c d"
