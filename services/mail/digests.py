"""One e-mail for many photos: beyond a number of e-mails a day a recipient gets digests.

A photo beyond the number is counted in the table `recipients`, and a message to the function's own
queue, delayed by DIGEST_SECONDS, sends the digest of all that were counted until then.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from services.events.images import ImageEvent, ImageEventType
from services.mail.letter import Letter
from services.mail.outbox import Outbox
from services.mail.recipients import PhotoCounts, Recipients
from services.platform.aws.clients import client
from services.platform.idempotency import IdempotencyStore

# The longest delay of SQS.
DIGEST_SECONDS = 900
_FIELD = "photo_digest"


@dataclass(frozen=True)
class DigestRequest:
    """A message that has the digest of a recipient sent. `id` is that of the digest."""

    id: str
    recipient: str
    recipient_name: str = ""
    on_website: bool = False


@dataclass(frozen=True)
class Digests:
    """Decides which e-mails about photos are sent by themselves: `per_day` for each recipient.
    `sqs` makes the client, which few invocations need; `queue_url` is the function's own queue."""

    recipients: Recipients
    idempotency: IdempotencyStore
    sqs: Callable[[], Any]
    queue_url: str
    per_day: int
    clock: Callable[[], float] = time.time

    def take(self, event: ImageEvent, recipient: str) -> bool:
        """Whether the photo of the event is left to a digest. The same for each delivery."""
        taken = self.idempotency.run_once(
            f"digest#{event.id}", {"recipient": recipient}, lambda: self._take(event, recipient)
        )
        return bool(taken)

    def _take(self, event: ImageEvent, recipient: str) -> bool:
        if self.recipients.count_photo_email(recipient, self.clock()) <= self.per_day:
            return False
        now = self.clock()
        due_at = self.recipients.add_to_digest(
            recipient, developed=event.type is ImageEventType.DEVELOPED
        )
        # Repeated when an earlier message was lost; the second of two digests has no photos.
        if due_at < now:
            request = DigestRequest(
                uuid.uuid4().hex, recipient, event.recipient_name or "", bool(event.on_website)
            )
            self.sqs().send_message(
                QueueUrl=self.queue_url,
                MessageBody=json.dumps({_FIELD: asdict(request)}),
                DelaySeconds=DIGEST_SECONDS,
            )
            self.recipients.set_digest_due(recipient, now + DIGEST_SECONDS)
        return True

    def photos(self, request: DigestRequest) -> PhotoCounts:
        """The photos of a digest: those counted since the last one. The same for each delivery."""
        counts = self.idempotency.run_once(
            f"digest-photos#{request.id}",
            {},
            lambda: asdict(self.recipients.take_digest(request.recipient)),
        )
        return PhotoCounts(**counts)


def make_digests(outbox: Outbox, queue_url: str | None, per_day: int) -> Digests | None:
    """The digests of a function with this outbox and queue; None where e-mails about photos have no
    limit (`per_day` 0), or there is no queue or no table of recipients."""
    if per_day == 0 or queue_url is None or outbox.recipients is None:
        return None
    return Digests(outbox.recipients, outbox.idempotency, lambda: client("sqs"), queue_url, per_day)


def parse_digest(body: str) -> DigestRequest | None:
    """The request in a message's body; None for any other message."""
    if f'"{_FIELD}"' not in body[:40]:
        return None
    try:
        return DigestRequest(**json.loads(body)[_FIELD])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def digest_letter(counts: PhotoCounts, name: str) -> Letter:
    """The e-mail about several photos."""
    ready = _photos(counts.developed)
    verb = "is" if counts.developed == 1 else "are"
    lines = [f"{ready} {verb} ready."] if counts.developed else []
    if counts.rejected:
        lines.append(f"{_photos(counts.rejected)} could not be developed. Nothing was charged.")
    return Letter(
        subject=lines[0].removesuffix(".").removesuffix(". Nothing was charged"),
        headline=f"Your {'photo is' if counts.developed == 1 else 'photos are'} ready."
        if counts.developed
        else "We could not develop your photos.",
        lines=tuple(lines),
        name=name,
    )


def _photos(number: int) -> str:
    return "1 photo" if number == 1 else f"{number} photos"
