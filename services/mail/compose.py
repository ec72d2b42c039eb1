"""Turns an image event into an e-mail: text, HTML, and the thumbnail inside it."""

from __future__ import annotations

import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from html import escape

from services.events.images import ImageEvent, ImageEventType

# Lets support and tests find the event that an e-mail tells of.
EVENT_ID_HEADER = "X-Darkroom-Event-Id"
# Seven bits pass every mail server on the way, whatever the server takes.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")
_THUMBNAIL_ID = "thumbnail@darkroom"
_TEXT_COLOUR, _MUTED_COLOUR, _PAPER, _DEFAULT_ACCENT = "#1c1b1a", "#6b6660", "#f5f2ee", "#8c5a3c"


@dataclass(frozen=True)
class _Story:
    subject: str
    headline: str
    lines: tuple[str, ...]


def compose(event: ImageEvent, sender: str, thumbnail: bytes | None) -> EmailMessage:
    """The e-mail that tells `event.recipient` what became of the photo.

    `thumbnail` is a JPEG to show in it. Headers are set through the email package, which refuses
    line breaks, so a file name cannot add a header.
    """
    story = _developed(event) if event.type is ImageEventType.DEVELOPED else _rejected(event)
    message = EmailMessage(_POLICY)
    message["From"] = sender
    message["To"] = event.recipient
    message["Subject"] = story.subject
    message["Date"] = formatdate(usegmt=True)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
    message[EVENT_ID_HEADER] = event.id
    message.set_content("\n\n".join((story.headline, *story.lines, "Darkroom")) + "\n")
    message.add_alternative(
        _html(story, event, with_thumbnail=thumbnail is not None), subtype="html"
    )
    if thumbnail is not None:
        html = message.get_payload()[1]  # type: ignore[index]
        html.add_related(  # type: ignore[union-attr]
            thumbnail, maintype="image", subtype="jpeg", cid=f"<{_THUMBNAIL_ID}>"
        )
    return message


def _developed(event: ImageEvent) -> _Story:
    name = _one_line(event.filename)
    return _Story(
        subject=f"Developed: {name}",
        headline="Your photo is ready.",
        lines=(
            f"{name} ({event.width} × {event.height} pixels) has been developed and is in your "
            "catalogue.",
        ),
    )


def _rejected(event: ImageEvent) -> _Story:
    name = _one_line(event.filename)
    return _Story(
        subject=f"We could not develop {name}",
        headline="We could not develop your photo.",
        lines=(
            f"{name}: {event.message}",
            "Nothing was charged, and the file you sent is still where you uploaded it.",
        ),
    )


def _html(story: _Story, event: ImageEvent, *, with_thumbnail: bool) -> str:
    accent = event.dominant_colour or _DEFAULT_ACCENT
    picture = (
        f'<img src="cid:{_THUMBNAIL_ID}" alt="{escape(_one_line(event.filename))}" '
        'style="display:block;max-width:100%;margin:0 0 24px;border-radius:4px">'
        if with_thumbnail
        else ""
    )
    paragraphs = "".join(f'<p style="margin:0 0 12px">{escape(line)}</p>' for line in story.lines)
    return (
        f'<!doctype html><html><body style="margin:0;padding:24px;background:{_PAPER};'
        f'font:16px/1.5 Georgia,serif;color:{_TEXT_COLOUR}">'
        '<div style="max-width:480px;margin:0 auto;padding:32px;background:#fff;'
        f'border-top:6px solid {escape(accent)}">'
        f'{picture}<h1 style="margin:0 0 16px;font-size:22px">{escape(story.headline)}</h1>'
        f'{paragraphs}<p style="margin:24px 0 0;color:{_MUTED_COLOUR};font-size:13px">Darkroom</p>'
        "</div></body></html>"
    )


def _one_line(text: str) -> str:
    """`text` without control characters, so that it can stand in a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
