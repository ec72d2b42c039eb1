"""list-dead-letters: answers GET /operations/dead-letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.events.images import parse_image_event
from services.events.storage import parse_object_events
from services.monitoring import api
from services.monitoring.dead_letter_queues import DeadLetter
from services.monitoring.dead_letters import survey
from services.monitoring.lab import LabConfiguration
from services.monitoring.selection import queues_with_letters, unread
from services.platform.errors import PermanentError
from services.platform.functions.http import Request, Response

LINK_SECONDS = 900


@dataclass(frozen=True)
class ListDeadLetters:
    """Lists dead letters with their reasons and photos."""

    configuration: LabConfiguration
    sqs: Any
    s3: Any
    originals_bucket: str

    def handle(self, request: Request) -> Response:
        """Returns 200 with the letters that match; they stay in their queues."""
        wanted: api.LetterParameters = request.parameters
        queues = queues_with_letters(self.sqs, self.configuration, wanted.function)
        listing = survey(self.sqs, queues, api.matching(wanted), api.READ_SECONDS)
        return Response(
            200,
            api.Letters(
                letters=[*map(self._letter, listing.letters[: api.LETTERS_MAX])],
                found=len(listing.letters),
                unread=unread(listing.unread),
            ),
        )

    def _letter(self, letter: DeadLetter) -> api.Letter:
        key = original_key(letter.body)
        return api.Letter(
            function=letter.function,
            message_id=letter.message_id,
            reason=letter.reason,
            error_type=letter.error_type,
            request_id=letter.request_id,
            attempts=letter.attempts,
            failed_at=letter.failed_at,
            sent_at=letter.sent_at,
            replays=letter.replays,
            event=letter.body[: api.EVENT_CHARACTERS_MAX],
            photo=None if key is None else self._link(key),
        )

    def _link(self, key: str) -> str:
        """A link to an original. Browsers show the photo, and never run what is none."""
        return str(
            self.s3.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self.originals_bucket,
                    "Key": key,
                    "ResponseContentDisposition": "attachment",
                },
                ExpiresIn=LINK_SECONDS,
            )
        )


def original_key(body: str) -> str | None:
    """The key of the original that a message is about, if it is about one."""
    try:
        for event in parse_object_events(body):
            return event.key
    except PermanentError:
        pass
    try:
        return parse_image_event(body).source_key
    except PermanentError:
        return None
