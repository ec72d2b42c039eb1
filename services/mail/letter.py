"""The form of every e-mail: the same words as text and as HTML, with a picture, a table, a link."""

from __future__ import annotations

import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formataddr, formatdate, parseaddr
from html import escape

from services.mail.headers import check_address, check_head, encode_text, one_line, serialize
from services.platform import log

# Identifies the event of an e-mail, for support and for tests.
EVENT_ID_HEADER = "X-Darkroom-Event-Id"
# Identifies the photo or the order of an e-mail, for support.
REFERENCE_HEADER = "X-Darkroom-Reference"
# Some mail servers accept only seven-bit content.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")
# Finds the log lines about the photo or order (services/platform/log.py).
CORRELATION_ID_HEADER = "X-Darkroom-Correlation-Id"
_CONTENT_HEADERS = ("MIME-Version", "Content-Type")
# Amounts of money stay in one line; a seller's address does not fit in one.
_UNWRAPPED_CHARACTERS_MAX = 24
_UNSUBSCRIBE = "No more e-mails about photos"
_PICTURE_ID = "thumbnail@darkroom"
_DEFAULT_BRAND = "Darkroom"
_TEXT_COLOUR, _MUTED_COLOUR, _PAPER, _DEFAULT_ACCENT = "#1c1b1a", "#6b6660", "#f5f2ee", "#8c5a3c"


@dataclass(frozen=True)
class Picture:
    """A JPEG at the top of the HTML part, and its alternative text."""

    jpeg: bytes
    alt: str


@dataclass(frozen=True)
class Link:
    """A link to a web page, and its text."""

    text: str
    url: str


@dataclass(frozen=True)
class Letter:
    """The content of an e-mail.

    `name` is the recipient's, for the greeting. `rows` are a table of two columns, such as a bill,
    and `details` a second one. `reference` is the id of the photo or the order. `footnote` follows
    the sender's name, in small type. `accent` is the CSS colour of the upper edge. A POST to
    `unsubscribe_url` stops e-mails of this kind (RFC 8058); a GET shows a page with a button.
    """

    subject: str
    headline: str
    lines: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    name: str = ""
    link: Link | None = None
    footnote: str = ""
    reference: str = ""
    unsubscribe_url: str | None = None
    accent: str | None = None
    picture: Picture | None = None


@dataclass(frozen=True)
class Stationery:
    """The parts of every e-mail that are configured.

    `sender` is the From address, with or without a name. Answers go to `reply_to`, if set.
    `imprint` states who sends the e-mail: name, address, register and tax numbers.
    """

    sender: str
    reply_to: str | None = None
    imprint: str | None = None

    @property
    def from_header(self) -> str:
        """`sender` as the value of a header: the name is encoded where necessary."""
        return formataddr(parseaddr(self.sender))

    @property
    def brand(self) -> str:
        """The sender's name."""
        return parseaddr(self.sender)[0] or _DEFAULT_BRAND


def write(letter: Letter, stationery: Stationery, recipient: str, event_id: str) -> bytes:
    """The serialized e-mail, in seven-bit ASCII.

    Raises PermanentError when `recipient` is not one e-mail address, or when the head is not as
    expected. The correlation id of the running invocation becomes a header.
    """
    body = EmailMessage(_POLICY)
    content = _content(letter, stationery)
    body.set_content(_text(content))
    body.add_alternative(_html(content, letter), subtype="html")
    if letter.picture is not None:
        html = body.get_payload()[1]  # type: ignore[index]
        html.add_related(  # type: ignore[union-attr]
            letter.picture.jpeg, maintype="image", subtype="jpeg", cid=f"<{_PICTURE_ID}>"
        )
    headers = {
        "From": stationery.from_header,
        "To": check_address(recipient),
        "Subject": encode_text("Subject", letter.subject),
        "Date": formatdate(usegmt=True),
        "Auto-Submitted": "auto-generated",  # RFC 3834: requests no automatic replies
        EVENT_ID_HEADER: encode_text(EVENT_ID_HEADER, event_id),
    }
    if stationery.reply_to is not None:
        headers["Reply-To"] = formataddr(parseaddr(stationery.reply_to))
    if letter.reference:
        headers[REFERENCE_HEADER] = encode_text(REFERENCE_HEADER, letter.reference)
    if (correlation_id := log.correlation_id()) is not None:
        headers[CORRELATION_ID_HEADER] = encode_text(CORRELATION_ID_HEADER, correlation_id)
    if letter.unsubscribe_url is not None:
        headers["List-Unsubscribe"] = f"<{letter.unsubscribe_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    raw = serialize(headers) + body.as_bytes()
    check_head(raw, (*headers, *_CONTENT_HEADERS))
    return raw


@dataclass(frozen=True)
class _Content:
    """The words of an e-mail, in the order in which both parts show them."""

    headline: str
    paragraphs: tuple[str, ...]
    tables: tuple[tuple[tuple[str, str], ...], ...]
    link: Link | None
    small_print: tuple[str, ...]
    unsubscribe: Link | None


def _content(letter: Letter, stationery: Stationery) -> _Content:
    name = one_line(letter.name)
    footnote = " · ".join(filter(None, (stationery.brand, letter.footnote)))
    return _Content(
        headline=letter.headline,
        paragraphs=(*((f"Hello {name},",) if name else ()), *letter.lines),
        tables=tuple(table for table in (letter.rows, letter.details) if table),
        link=letter.link,
        unsubscribe=Link(_UNSUBSCRIBE, letter.unsubscribe_url) if letter.unsubscribe_url else None,
        small_print=tuple(filter(None, (footnote, one_line(stationery.imprint or "")))),
    )


def _text(content: _Content) -> str:
    parts = [content.headline, *content.paragraphs]
    for table in content.tables:
        width = max(len(left) for left, _ in table)
        parts.append("\n".join(f"{left.ljust(width)}  {right}" for left, right in table))
    if content.link is not None:
        parts.append(f"{content.link.text}: {content.link.url}")
    parts += content.small_print
    if content.unsubscribe is not None:
        parts.append(f"{content.unsubscribe.text}: {content.unsubscribe.url}")
    return "\n\n".join(parts) + "\n"


def _html(content: _Content, letter: Letter) -> str:
    accent = escape(letter.accent or _DEFAULT_ACCENT)
    picture = (
        f'<img src="cid:{_PICTURE_ID}" alt="{escape(letter.picture.alt)}" '
        'style="display:block;max-width:100%;margin:0 0 24px;border-radius:4px">'
        if letter.picture is not None
        else ""
    )
    paragraphs = "".join(
        f'<p style="margin:0 0 12px">{escape(line)}</p>' for line in content.paragraphs
    )
    link = (
        f'<p style="margin:24px 0 0">{escape(content.link.text)}: '
        f'<a href="{escape(content.link.url)}" style="color:{_TEXT_COLOUR};'
        f'overflow-wrap:anywhere">{escape(content.link.url)}</a></p>'
        if content.link is not None
        else ""
    )
    small_print = "".join(
        f'<p style="margin:{top}px 0 0;color:{_MUTED_COLOUR};font-size:13px">{escape(line)}</p>'
        for top, line in zip((24, 4), content.small_print, strict=False)
    )
    if content.unsubscribe is not None:
        small_print += (
            f'<p style="margin:4px 0 0;color:{_MUTED_COLOUR};font-size:13px">'
            f'{escape(content.unsubscribe.text)}: <a href="{escape(content.unsubscribe.url)}" '
            f'style="color:{_MUTED_COLOUR};overflow-wrap:anywhere">'
            f"{escape(content.unsubscribe.url)}</a></p>"
        )
    return (
        f'<!doctype html><html><body style="margin:0;padding:24px;background:{_PAPER};'
        f'font:16px/1.5 Georgia,serif;color:{_TEXT_COLOUR}">'
        '<div style="max-width:480px;margin:0 auto;padding:32px;background:#fff;'
        f'border-top:6px solid {accent}">'
        f'{picture}<h1 style="margin:0 0 16px;font-size:22px">{escape(content.headline)}</h1>'
        f"{paragraphs}{''.join(map(_table, content.tables))}{link}{small_print}"
        "</div></body></html>"
    )


def _table(rows: tuple[tuple[str, str], ...]) -> str:
    cells = "".join(
        f'<tr><td style="padding:4px 16px 4px 0;vertical-align:top">{escape(left)}</td>'
        f'<td style="padding:4px 0;text-align:right{_wrapping(right)}">{escape(right)}</td></tr>'
        for left, right in rows
    )
    return f'<table style="width:100%;margin:12px 0;border-collapse:collapse">{cells}</table>'


def _wrapping(value: str) -> str:
    return ";white-space:nowrap" if len(value) <= _UNWRAPPED_CHARACTERS_MAX else ""
