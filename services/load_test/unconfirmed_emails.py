"""Resolves unconfirmed e-mails, as an operator does.

A mailer that is killed while it sends leaves it unknown whether the e-mail went out. It is not
sent again: it becomes a dead letter (services/mail/send_image_email.py). One that is killed each
time it holds a message says nothing, and SQS makes it a dead letter. The mailbox decides: what is
there was sent, and its dead letter goes; what is not there is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.events.images import parse_image_event
from services.mail.outbox import DeliveryUnknownError
from services.monitoring import dead_letters
from services.monitoring.dead_letter_queues import DeadLetter, Queues

_DELIVERY_UNKNOWN = DeliveryUnknownError.__name__
_MAILER = "send-image-email"


class Verdict(StrEnum):
    SENT = "was sent"
    REPLAYED = "was not sent: replayed"


@dataclass(frozen=True)
class UnconfirmedEmail:
    """An unconfirmed e-mail, and whether the mailbox has it."""

    event_id: str
    verdict: Verdict


def is_unconfirmed(letter: DeadLetter) -> bool:
    """Whether the dead letter is an unconfirmed e-mail: its mailer says so, or said nothing."""
    moved_by_sqs = letter.function == _MAILER and letter.attempts is None
    return letter.error_type == _DELIVERY_UNKNOWN or moved_by_sqs


def resolve(
    sqs: Any, queues: Mapping[str, Queues], mails: frozenset[str]
) -> list[UnconfirmedEmail]:
    """Discards or replays every unconfirmed dead letter, by whether its e-mail is in `mails`."""
    resolved = []
    for letter in dead_letters.peek(sqs, queues):
        if not is_unconfirmed(letter):
            continue
        event = parse_image_event(letter.body).id
        if event in mails:
            dead_letters.discard(sqs, queues, [letter.message_id])
            resolved.append(UnconfirmedEmail(event, Verdict.SENT))
        else:
            dead_letters.replay(sqs, queues, [letter.message_id])
            resolved.append(UnconfirmedEmail(event, Verdict.REPLAYED))
    return resolved
