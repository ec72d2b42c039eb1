"""Reads dead letters: what they say, and their queues.

Reading hides letters from other readers for up to HOLD_SECONDS; `HeldLetters` shows them again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from services.platform import timestamps
from services.platform.aws import dead_letter
from services.platform.errors import PermanentError

# The maximum of one SQS call.
_BATCH_MAX = 10
# The connections of an AWS client.
_QUEUES_AT_ONCE = 10
# A received letter is hidden for this long, so that each is read once.
HOLD_SECONDS = 60
# Held letters are held again after this time, so that a slow replay keeps them.
_RENEW_SECONDS = HOLD_SECONDS / 3
# Reading a queue ends after this time; what is left is reported as unread.
READ_SECONDS = 600
_UNKNOWN_REASON = (
    "unknown: the environment ended before it could report a reason; search the function's log for "
    "the message id"
)


class LetterNotFound(PermanentError):  # noqa: N818  as others are named
    """No readable dead letter has the id, or several begin with it."""


class Queues(Protocol):
    """A function's queue and its dead letter queue, by URL."""

    @property
    def url(self) -> str: ...

    @property
    def dead_letter_url(self) -> str: ...


@dataclass(frozen=True)
class DeadLetter:
    """One message that failed for good. Times are ISO 8601 in UTC.

    `attempts`, `request_id` and `failed_at` are None for a letter that SQS moved by itself.
    `replays` counts earlier replays of the message; `sender_attributes` are those of its sender.
    """

    function: str
    message_id: str
    reason: str
    error_type: str
    request_id: str | None
    attempts: int | None
    failed_at: str | None
    sent_at: str
    body: str
    receipt_handle: str
    replays: int = 0
    sender_attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    def document(self) -> dict[str, Any]:
        """The object that `darkroom dead-letters --json` prints; the event as JSON where it is."""
        try:
            event: Any = json.loads(self.body)
        except ValueError:
            event = self.body
        return {
            "function": self.function,
            "message_id": self.message_id,
            "reason": self.reason,
            "error_type": self.error_type,
            "request_id": self.request_id,
            "attempts": self.attempts,
            "failed_at": self.failed_at,
            "sent_at": self.sent_at,
            "replays": self.replays,
            "event": event,
        }

    def died_at(self) -> datetime:
        """When the message failed, or was sent if that is unknown."""
        for text in (self.failed_at, self.sent_at):
            try:
                moment = datetime.fromisoformat(text or "")
            except ValueError:
                continue
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return datetime.now(UTC)


@dataclass(frozen=True)
class Filter:
    """Selects dead letters; a letter must meet every condition that is given.

    `error_type` must be equal; `text` must occur in the reason or the body, in any case. Ages count
    from the failure.
    """

    error_type: str | None = None
    text: str | None = None
    older_than: timedelta | None = None
    newer_than: timedelta | None = None

    def matches(self, letter: DeadLetter, now: datetime) -> bool:
        age = now - letter.died_at()
        return (
            self.error_type in (None, letter.error_type)
            and (self.older_than is None or age >= self.older_than)
            and (self.newer_than is None or age <= self.newer_than)
            and (
                self.text is None
                or self.text.casefold() in f"{letter.reason}\n{letter.body}".casefold()
            )
        )


class HeldLetters:
    """All readable dead letters, hidden from others until the `with` block ends."""

    def __init__(
        self, sqs: Any, queues: Mapping[str, Queues], read_seconds: float = READ_SECONDS
    ) -> None:
        self._sqs = sqs
        self._read_seconds = read_seconds
        self._queues = queues
        self._letters: dict[str, list[DeadLetter]] = {name: [] for name in queues}
        self._held_at: dict[str, float] = {}
        self.unread: dict[str, int] = {}

    def __enter__(self) -> HeldLetters:
        try:
            # Side by side: the last, empty answer of each queue takes a second.
            with ThreadPoolExecutor(_QUEUES_AT_ONCE) as pool:
                for _ in pool.map(self._read, self._queues):
                    pass
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for function, letters in self._letters.items():
            # A letter that cannot be shown again is visible after HOLD_SECONDS at the latest.
            with suppress(Exception):
                self._set_visibility(function, letters, 0)

    @property
    def letters(self) -> list[DeadLetter]:
        return [letter for letters in self._letters.values() for letter in letters]

    def select(self, wanted: Sequence[str] | None, matching: Filter | None) -> list[DeadLetter]:
        """The letters that match, in the order of `wanted`. Raises PermanentError."""
        letters = self.letters
        if wanted is not None:
            letters = list(dict.fromkeys(select_one(letters, identifier) for identifier in wanted))
        if matching is None:
            return letters
        now = datetime.now(UTC)
        return [letter for letter in letters if matching.matches(letter, now)]

    def renew(self) -> None:
        """Hides the remaining letters for longer, where their time is running out."""
        for function, letters in self._letters.items():
            if letters and time.monotonic() - self._held_at[function] > _RENEW_SECONDS:
                self._hold(function)

    def delete(self, letter: DeadLetter) -> None:
        self._sqs.delete_message(
            QueueUrl=self._queues[letter.function].dead_letter_url,
            ReceiptHandle=letter.receipt_handle,
        )
        self._letters[letter.function].remove(letter)

    def show_again(self, letters: Sequence[DeadLetter]) -> None:
        """Makes held letters visible."""
        for function in self._queues:
            shown = [letter for letter in letters if letter.function == function]
            self._set_visibility(function, shown, 0)
            gone = {letter.receipt_handle for letter in shown}
            self._letters[function] = [
                letter for letter in self._letters[function] if letter.receipt_handle not in gone
            ]

    def _read(self, function: str) -> None:
        """Receives the visible letters of a queue; then compares with the queue's own counts."""
        letters, url = self._letters[function], self._queues[function].dead_letter_url
        give_up_at = time.monotonic() + self._read_seconds
        self._held_at[function] = time.monotonic()
        while time.monotonic() < give_up_at:
            answer = self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=_BATCH_MAX,
                VisibilityTimeout=HOLD_SECONDS,
                WaitTimeSeconds=1,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                break
            known = {letter.message_id for letter in letters}
            for message in answer["Messages"]:
                # A letter that became visible while others were read comes with a new receipt.
                letter = _letter(function, message)
                if letter.message_id in known:
                    letters[:] = [one for one in letters if one.message_id != letter.message_id]
                letters.append(letter)
            if time.monotonic() - self._held_at[function] > _RENEW_SECONDS:
                self._hold(function)
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        unread = sum(int(counts.get(name, 0)) for name in names) - len(letters)
        if unread > 0:
            self.unread[function] = unread

    def _hold(self, function: str) -> None:
        self._held_at[function] = time.monotonic()
        self._set_visibility(function, self._letters[function], HOLD_SECONDS)

    def _set_visibility(self, function: str, letters: Sequence[DeadLetter], seconds: int) -> None:
        for start in range(0, len(letters), _BATCH_MAX):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._queues[function].dead_letter_url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": letter.receipt_handle,
                        "VisibilityTimeout": seconds,
                    }
                    for number, letter in enumerate(letters[start : start + _BATCH_MAX])
                ],
            )


def select_one(letters: Sequence[DeadLetter], identifier: str) -> DeadLetter:
    """The one letter whose message id begins with `identifier`. Raises PermanentError."""
    found = [letter for letter in letters if letter.message_id.startswith(identifier)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise LetterNotFound(
            f"no dead letter's message id begins with {identifier!r}; "
            "`darkroom dead-letters list` shows all of them"
        )
    raise LetterNotFound(
        f"the message ids of {len(found)} dead letters begin with {identifier!r}; "
        "give more characters"
    )


def _letter(function: str, message: Mapping[str, Any]) -> DeadLetter:
    """The letter in a message of SQS, whatever attributes its sender has set."""
    attributes = message.get("MessageAttributes", {})
    ours: dict[str, str] = {}
    if dead_letter.is_explained(attributes):
        ours = {name: str(attributes[name].get("StringValue", "")) for name in dead_letter.NAMES}
    try:
        sender = dead_letter.sender_attributes(attributes)
    except (ValueError, TypeError, LookupError, AttributeError):
        # Not written by us, though it has all our names.
        sender = dict(attributes)
    attempts = ours.get(dead_letter.ATTEMPTS, "")
    sent_ms = int(message["Attributes"]["SentTimestamp"])
    return DeadLetter(
        function=function,
        message_id=message["MessageId"],
        reason=ours.get(dead_letter.REASON, _UNKNOWN_REASON),
        error_type=ours.get(dead_letter.ERROR_TYPE, "unknown"),
        request_id=ours.get(dead_letter.REQUEST_ID),
        attempts=int(attempts) if attempts.isascii() and attempts.isdigit() else None,
        failed_at=ours.get(dead_letter.FAILED_AT),
        sent_at=timestamps.format_epoch(sent_ms / 1000),
        body=message["Body"],
        receipt_handle=message["ReceiptHandle"],
        replays=dead_letter.replay_count(sender),
        sender_attributes=sender,
    )
