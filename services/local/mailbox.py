"""The lab's mailbox: an SMTP server that writes every e-mail to a file, and a reader of the files.

    python -m services.local.mailbox FOLDER PORT

The emulator relays each e-mail that SES accepts. Any mail program opens the `.eml` files.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import signal
import sys
import time
import uuid
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from services.local.emulator import LOOPBACK
from services.mail.letter import EVENT_ID_HEADER
from services.platform.errors import TransientError

_ACCEPTED = "250 stored"
# Alone on a line: services/accounts/address_codes.py.
_CODE = re.compile(r"^([0-9A-Z]{4}-[0-9A-Z]{4})\r?$", re.MULTILINE)
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class SentMail:
    """One e-mail as SES got it. `thumbnail` is the JPEG inside it."""

    path: Path
    event_id: str
    recipient: str
    subject: str
    text: str
    html: str
    thumbnail: bytes | None


def sent_mails(folder: Path) -> tuple[SentMail, ...]:
    """Every e-mail in `folder`, oldest first."""
    return tuple(_read(path) for path in sorted(folder.glob("*.eml")))


def sent_code(folder: Path, recipient: str, seconds: float) -> str:
    """The code of the latest e-mail with one to `recipient`. Waits for it; raises TransientError
    after `seconds`."""
    give_up_at = time.monotonic() + seconds
    while (code := latest_code(folder, recipient)) is None:
        if time.monotonic() > give_up_at:
            raise TransientError(f"no code was sent to {recipient} within {seconds:g} s")
        time.sleep(_POLL_SECONDS)
    return code


def latest_code(folder: Path, recipient: str) -> str | None:
    """The code of the latest e-mail with one to `recipient`; None if there is none."""
    for mail in reversed(sent_mails(folder)):
        if mail.recipient.lower() == recipient.lower() and (code := code_in(mail.text)):
            return code
    return None


def code_in(text: str) -> str | None:
    """The code in the text of an e-mail; None if there is none."""
    found = _CODE.search(text)
    return found[1] if found else None


def _read(path: Path) -> SentMail:
    parsed = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)  # noqa: S101  what the default policy makes
    text, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    pictures = [part for part in parsed.walk() if part.get_content_maintype() == "image"]
    return SentMail(
        path=path,
        event_id=str(parsed[EVENT_ID_HEADER]),
        recipient=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=text.get_content() if text is not None else "",
        html=html.get_content() if html is not None else "",
        thumbnail=pictures[0].get_content() if pictures else None,
    )


@dataclass(frozen=True)
class _Store:
    """aiosmtpd's handler: writes each e-mail to a file."""

    folder: Path

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        draft = self.folder / f"{name}.draft"
        draft.write_bytes(envelope.content)
        draft.rename(self.folder / f"{name}.eml")
        return _ACCEPTED


async def _serve(folder: Path, port: int) -> None:
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(_Store(folder)), LOOPBACK, port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with server:
        await stop.wait()


def main() -> int:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_serve(folder, port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
