"""How an e-mail of the lab looks: the same words as text and HTML, with a picture or a bill."""

from __future__ import annotations

import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from html import escape

# Lets support and tests find the event that an e-mail tells of.
EVENT_ID_HEADER = "X-Darkroom-Event-Id"
# Seven bits pass every mail server on the way, whatever the server takes.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")
_PICTURE_ID = "thumbnail@darkroom"
_TEXT_COLOUR, _MUTED_COLOUR, _PAPER, _DEFAULT_ACCENT = "#1c1b1a", "#6b6660", "#f5f2ee", "#8c5a3c"


@dataclass(frozen=True)
class Picture:
    """A JPEG shown at the top, and what it shows for those who do not see it."""

    jpeg: bytes
    alt: str


@dataclass(frozen=True)
class Letter:
    """What an e-mail says. `rows` are a table of two columns, such as a bill; `footnote` is small,
    and `accent` the colour of the edge, as in CSS."""

    subject: str
    headline: str
    lines: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    footnote: str = "Darkroom"
    accent: str | None = None
    picture: Picture | None = None


def write(letter: Letter, sender: str, recipient: str, event_id: str) -> EmailMessage:
    """The e-mail. Headers are set through the email package, which refuses line breaks, so what a
    customer named something cannot add a header."""
    message = EmailMessage(_POLICY)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = letter.subject
    message["Date"] = formatdate(usegmt=True)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
    message[EVENT_ID_HEADER] = event_id
    message.set_content(_text(letter))
    message.add_alternative(_html(letter), subtype="html")
    if letter.picture is not None:
        html = message.get_payload()[1]  # type: ignore[index]
        html.add_related(  # type: ignore[union-attr]
            letter.picture.jpeg, maintype="image", subtype="jpeg", cid=f"<{_PICTURE_ID}>"
        )
    return message


def one_line(text: str) -> str:
    """`text` without control characters, so that it can stand in a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


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
