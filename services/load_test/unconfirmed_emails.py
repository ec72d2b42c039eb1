"""Settles the e-mails in doubt, as an operator does.

A mailer that is killed while it sends leaves it unknown whether the e-mail went out. It is not
sent again: it becomes a dead letter (services/mail/send_image_email.py). The mailbox decides:
what is there was sent, and its dead letter goes; what is not there is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.events.images import parse_image_event
from services.mail.outbox import DeliveryUnknownError
from services.operations import dead_letters
from services.operations.dead_letter_queues import DeadLetter, Queues

_IN_DOUBT = DeliveryUnknownError.__name__


class Verdict(StrEnum):
    SENT = "was sent"
    REPLAYED = "was not sent: replayed"


@dataclass(frozen=True)
class Doubt:
    """An e-mail of which nobody knew, and what the mailbox told."""

    event_id: str
    verdict: Verdict


def in_doubt(letter: DeadLetter) -> bool:
    """Whether it is such a dead letter."""
    return letter.error_type == _IN_DOUBT


def settle(sqs: Any, queues: Mapping[str, Queues], mails: frozenset[str]) -> list[Doubt]:
    """Discards or replays every dead letter in doubt, by whether its e-mail is in `mails`."""
    doubts = []
    for letter in dead_letters.peek(sqs, queues):
        if not in_doubt(letter):
            continue
        event = parse_image_event(letter.body).id
        if event in mails:
            dead_letters.discard(sqs, queues, [letter.message_id])
            doubts.append(Doubt(event, Verdict.SENT))
        else:
            dead_letters.replay(sqs, queues, [letter.message_id])
            doubts.append(Doubt(event, Verdict.REPLAYED))
    return doubts
