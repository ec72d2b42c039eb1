import dataclasses
import email
import email.policy
from email.message import EmailMessage

from services.events.images import ImageEvent, ImageEventType
from services.mail.letter import EVENT_ID_HEADER, Stationery, write
from services.mail.send_image_email import image_letter

SENDER = "Darkroom <photos@darkroom.example>"
STATIONERY = Stationery(SENDER)
DEVELOPED = ImageEvent(
    id="event-1",
    type=ImageEventType.DEVELOPED,
    time="2026-01-02T03:04:05Z",
    owner="o",
    image_id="i",
    source_key="o/u/f.jpg",
    filename="été & <b>.jpg",
    recipient="ann@example.org",
    width=4000,
    height=3000,
    dominant_colour="#102030",
)
REJECTED = dataclasses.replace(
    DEVELOPED,
    type=ImageEventType.REJECTED,
    reason="truncated",
    message="The file ends too early. Please upload it again.",
)


def sent(event: ImageEvent, thumbnail: bytes | None = None) -> EmailMessage:
    """The e-mail as a mail program parses it."""
    raw = write(image_letter(event, thumbnail), STATIONERY, event.recipient or "", event.id)
    assert raw.isascii(), "an e-mail must pass seven-bit servers"
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content


def test_letter_of_developed_photo_has_text_and_html() -> None:
    message = sent(DEVELOPED)
    assert message["To"] == "ann@example.org"
    assert message["From"] == SENDER
    assert message["Subject"] == "Developed: été & <b>.jpg"
    assert message[EVENT_ID_HEADER] == "event-1"
    assert "été & <b>.jpg (4000 × 3000 pixels)" in body(message, "plain")
    html = body(message, "html")
    assert "été &amp; &lt;b&gt;.jpg" in html
    assert "#102030" in html
    assert "<img" not in html


def test_letter_of_rejected_photo_states_the_reason() -> None:
    message = sent(REJECTED)
    assert "The file ends too early. Please upload it again." in body(message, "plain")
    assert "The file ends too early." in body(message, "html")
    assert str(message["Subject"]).startswith("We could not develop")


def test_letter_with_thumbnail_embeds_it() -> None:
    message = sent(DEVELOPED, thumbnail=b"\xff\xd8picture")
    assert 'src="cid:thumbnail@darkroom"' in body(message, "html")
    (picture,) = [p for p in message.walk() if p.get_content_type() == "image/jpeg"]
    assert picture["Content-ID"] == "<thumbnail@darkroom>"
    assert picture.get_content() == b"\xff\xd8picture"


def test_filename_with_line_breaks_adds_no_header() -> None:
    event = dataclasses.replace(DEVELOPED, filename="a\r\nBcc: eve@example.org\r\n\r\n.jpg")
    message = sent(event)
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]
