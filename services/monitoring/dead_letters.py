"""Lists, replays and discards dead letters: messages that failed for good.

A replay receives a dead letter, sends its body and its sender's attributes to the function's own
queue, and only then deletes it. A crash in between duplicates a message and never loses one;
functions accept repetitions.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.monitoring.dead_letter_queues import (
    READ_SECONDS,
    DeadLetter,
    Filter,
    HeldLetters,
    Queues,
    select_one,
)
from services.platform.aws import dead_letter
from services.platform.errors import PermanentError


@dataclass(frozen=True)
class Listing:
    """Dead letters, oldest first. `unread`: function to the number of letters that its queue has
    and that were not read, because they are hidden or reading took too long."""

    letters: tuple[DeadLetter, ...]
    unread: Mapping[str, int]


@dataclass(frozen=True)
class Outcome:
    """The result of a replay or a discard: the letters processed, and those not read."""

    letters: tuple[DeadLetter, ...]
    unread: Mapping[str, int]


class Audit(Protocol):
    """Records what an operator does to each letter."""

    def record(self, action: str, **facts: Any) -> None: ...


Progress = Callable[[DeadLetter], None]
"""Called after each letter that was replayed or discarded."""


def survey(
    sqs: Any,
    queues: Mapping[str, Queues],
    matching: Filter | None = None,
    read_seconds: float = READ_SECONDS,
) -> Listing:
    """The dead letters of `queues` (by function) that match; all stay in their queues. Reading a
    queue ends after `read_seconds`."""
    with HeldLetters(sqs, queues, read_seconds) as held:
        found = held.select(None, matching)
        return Listing(
            tuple(sorted(found, key=lambda letter: letter.failed_at or letter.sent_at)),
            held.unread,
        )


def peek(sqs: Any, queues: Mapping[str, Queues]) -> list[DeadLetter]:
    """Every readable dead letter, oldest first; see `survey`."""
    return list(survey(sqs, queues).letters)


def find(sqs: Any, queues: Mapping[str, Queues], identifier: str) -> DeadLetter:
    """The one dead letter whose message id begins with `identifier`.

    Raises PermanentError when there is none, or more than one.
    """
    return select_one(peek(sqs, queues), identifier)


def replay(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    progress: Progress = lambda _letter: None,
    *,
    matching: Filter | None = None,
    per_second: float | None = None,
    dry_run: bool = False,
    audit: Audit | None = None,
    read_seconds: float = READ_SECONDS,
) -> Outcome:
    """Sends dead letters back to their own queues: those named in `wanted` (None: all) that match.

    The message keeps its sender's attributes and gets a replay count. `per_second` limits the rate.
    `dry_run` only selects. `audit` gets an entry for each letter, also for one that fails.

    Raises PermanentError, before anything is sent, for an identifier of no letter or of several.
    An error of SQS ends the replay; the letters that were not sent are visible again at once.
    """

    def send_back(letter: DeadLetter) -> None:
        sqs.send_message(
            QueueUrl=queues[letter.function].url,
            MessageBody=letter.body,
            MessageAttributes=_replay_attributes(letter),
        )

    action = _Action("dead_letter_replayed", send_back, progress, audit)
    return _process(sqs, queues, wanted, matching, action, per_second, dry_run, read_seconds)


def discard(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    progress: Progress = lambda _letter: None,
    *,
    matching: Filter | None = None,
    dry_run: bool = False,
    audit: Audit | None = None,
    read_seconds: float = READ_SECONDS,
) -> Outcome:
    """Deletes dead letters: those named in `wanted` (None: all) that match. See `replay`."""
    action = _Action("dead_letter_discarded", lambda _letter: None, progress, audit)
    return _process(sqs, queues, wanted, matching, action, None, dry_run, read_seconds)


@dataclass(frozen=True)
class _Action:
    """What happens to each selected letter before it is deleted, and who is notified."""

    name: str
    act: Callable[[DeadLetter], None]
    progress: Progress
    audit: Audit | None

    def apply(self, held: HeldLetters, letter: DeadLetter) -> None:
        try:
            self.act(letter)
            held.delete(letter)
        except Exception as error:
            self._record(letter, f"{type(error).__name__}: {error}")
            raise
        self._record(letter, None)
        self.progress(letter)

    def _record(self, letter: DeadLetter, error: str | None) -> None:
        if self.audit is None:
            return
        self.audit.record(
            self.name,
            function=letter.function,
            message_id=letter.message_id,
            error_type=letter.error_type,
            request_id=letter.request_id,
            replays=letter.replays,
            # Not the body: it may hold personal data.
            body_sha256=hashlib.sha256(letter.body.encode(errors="replace")).hexdigest(),
            failed=error,
        )


def _process(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    matching: Filter | None,
    action: _Action,
    per_second: float | None,
    dry_run: bool,
    read_seconds: float,
) -> Outcome:
    """Applies the action to each selected dead letter."""
    with HeldLetters(sqs, queues, read_seconds) as held:
        chosen = held.select(wanted, matching)
        if dry_run:
            return Outcome(tuple(chosen), held.unread)
        selected = set(chosen)
        held.show_again([letter for letter in held.letters if letter not in selected])
        for number, letter in enumerate(chosen):
            if number and per_second is not None:
                time.sleep(1 / per_second)
            held.renew()
            action.apply(held, letter)
        return Outcome(tuple(chosen), held.unread)


def _replay_attributes(letter: DeadLetter) -> dict[str, Any]:
    """The sender's attributes and the replay count. Raises PermanentError for too many."""
    attributes = {
        **letter.sender_attributes,
        dead_letter.REPLAYED: dead_letter.replay_attribute(letter.replays + 1, letter.message_id),
    }
    if len(attributes) > dead_letter.ATTRIBUTES_MAX:
        raise PermanentError(
            f"dead letter {letter.message_id} has {len(letter.sender_attributes)} attributes of "
            f"its sender; with the replay count that exceeds SQS's {dead_letter.ATTRIBUTES_MAX}"
        )
    return attributes
