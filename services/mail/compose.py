"""Turns an image event into an e-mail: text, HTML, and the thumbnail inside it."""

from __future__ import annotations

from email.message import EmailMessage

from services.events.images import ImageEvent, ImageEventType
from services.mail.letter import Letter, Picture, one_line, write


def compose(event: ImageEvent, sender: str, thumbnail: bytes | None) -> EmailMessage:
    """The e-mail that tells `event.recipient` what became of the photo.

    `thumbnail` is a JPEG to show in it.
    """
    tell = _developed if event.type is ImageEventType.DEVELOPED else _rejected
    picture = Picture(thumbnail, one_line(event.filename)) if thumbnail is not None else None
    return write(tell(event, picture), sender, event.recipient or "", event.id)


def _developed(event: ImageEvent, picture: Picture | None) -> Letter:
    name = one_line(event.filename)
    return Letter(
        subject=f"Developed: {name}",
        headline="Your photo is ready.",
        lines=(
            f"{name} ({event.width} × {event.height} pixels) has been developed and is in your "
            "catalogue.",
        ),
        accent=event.dominant_colour,
        picture=picture,
    )


def _rejected(event: ImageEvent, picture: Picture | None) -> Letter:
    name = one_line(event.filename)
    return Letter(
        subject=f"We could not develop {name}",
        headline="We could not develop your photo.",
        lines=(
            f"{name}: {event.message}",
            "Nothing was charged, and the file you sent is still where you uploaded it.",
        ),
        accent=event.dominant_colour,
        picture=picture,
    )
