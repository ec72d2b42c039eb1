"""The form of every e-mail: the same words as text and as HTML, with a picture or a table."""

from __future__ import annotations

import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formataddr, formatdate, parseaddr
from html import escape

from services.mail.headers import check_address, check_head, encode_text, serialize

# Identifies the event of an e-mail, for support and for tests.
EVENT_ID_HEADER = "X-Darkroom-Event-Id"
# Some mail servers accept only seven-bit content.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")
_HEADERS = ("From", "To", "Subject", "Date", "Auto-Submitted", EVENT_ID_HEADER)
_CONTENT_HEADERS = ("MIME-Version", "Content-Type")
_PICTURE_ID = "thumbnail@darkroom"
_TEXT_COLOUR, _MUTED_COLOUR, _PAPER, _DEFAULT_ACCENT = "#1c1b1a", "#6b6660", "#f5f2ee", "#8c5a3c"


@dataclass(frozen=True)
class Picture:
    """A JPEG at the top of the HTML part, and its alternative text."""

    jpeg: bytes
    alt: str


@dataclass(frozen=True)
class Letter:
    """The content of an e-mail. `rows` are a table of two columns, such as a bill; `footnote` is in
    small type; `accent` is the CSS colour of the upper edge."""

    subject: str
    headline: str
    lines: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    footnote: str = "Darkroom"
    accent: str | None = None
    picture: Picture | None = None


def write(letter: Letter, sender: str, recipient: str, event_id: str) -> bytes:
    """The serialized e-mail, in seven-bit ASCII.

    `sender` is the configured From address, with or without a name. Raises PermanentError when
    `recipient` is not one e-mail address, or when the head is not as expected.
    """
    body = EmailMessage(_POLICY)
    body.set_content(_text(letter))
    body.add_alternative(_html(letter), subtype="html")
    if letter.picture is not None:
        html = body.get_payload()[1]  # type: ignore[index]
        html.add_related(  # type: ignore[union-attr]
            letter.picture.jpeg, maintype="image", subtype="jpeg", cid=f"<{_PICTURE_ID}>"
        )
    values = (
        formataddr(parseaddr(sender)),
        check_address(recipient),
        encode_text("Subject", letter.subject),
        formatdate(usegmt=True),
        "auto-generated",  # RFC 3834: requests no automatic replies
        encode_text(EVENT_ID_HEADER, event_id),
    )
    raw = serialize(dict(zip(_HEADERS, values, strict=True))) + body.as_bytes()
    check_head(raw, (*_HEADERS, *_CONTENT_HEADERS))
    return raw


def _text(letter: Letter) -> str:
    parts = [letter.headline, *letter.lines]
    if letter.rows:
        width = max(len(left) for left, _ in letter.rows)
        parts.append("\n".join(f"{left.ljust(width)}  {right}" for left, right in letter.rows))
    return "\n\n".join((*parts, letter.footnote)) + "\n"


def _html(letter: Letter) -> str:
    picture = (
        f'<img src="cid:{_PICTURE_ID}" alt="{escape(letter.picture.alt)}" '
        'style="display:block;max-width:100%;margin:0 0 24px;border-radius:4px">'
        if letter.picture is not None
        else ""
    )
    paragraphs = "".join(f'<p style="margin:0 0 12px">{escape(line)}</p>' for line in letter.lines)
    return (
        f'<!doctype html><html><body style="margin:0;padding:24px;background:{_PAPER};'
        f'font:16px/1.5 Georgia,serif;color:{_TEXT_COLOUR}">'
        '<div style="max-width:480px;margin:0 auto;padding:32px;background:#fff;'
        f'border-top:6px solid {escape(letter.accent or _DEFAULT_ACCENT)}">'
        f'{picture}<h1 style="margin:0 0 16px;font-size:22px">{escape(letter.headline)}</h1>'
        f"{paragraphs}{_table(letter.rows)}"
        f'<p style="margin:24px 0 0;color:{_MUTED_COLOUR};font-size:13px">'
        f"{escape(letter.footnote)}</p></div></body></html>"
    )


def _table(rows: tuple[tuple[str, str], ...]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f'<tr><td style="padding:4px 16px 4px 0">{escape(left)}</td>'
        f'<td style="padding:4px 0;text-align:right;white-space:nowrap">{escape(right)}</td></tr>'
        for left, right in rows
    )
    return f'<table style="width:100%;margin:12px 0;border-collapse:collapse">{cells}</table>'
