"""Lists, replays and discards dead letters: messages that failed for good.

A replay receives a dead letter, sends its body and its sender's attributes to the function's own
queue, and only then deletes it. A crash in between duplicates a message and never loses one;
functions accept repetitions.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from services.operations.audit import AuditTrail
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


Progress = Callable[[DeadLetter], None]
"""Called after each letter that was replayed or discarded."""


def survey(sqs: Any, queues: Mapping[str, Queues], matching: Filter | None = None) -> Listing:
    """The dead letters of `queues` (by function) that match; all stay in their queues."""
    with _Held(sqs, queues) as held:
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
    return _one(peek(sqs, queues), identifier)


def replay(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    progress: Progress = lambda _letter: None,
    *,
    matching: Filter | None = None,
    per_second: float | None = None,
    dry_run: bool = False,
    audit: AuditTrail | None = None,
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
    return _process(sqs, queues, wanted, matching, action, per_second, dry_run)


def discard(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    progress: Progress = lambda _letter: None,
    *,
    matching: Filter | None = None,
    dry_run: bool = False,
    audit: AuditTrail | None = None,
) -> Outcome:
    """Deletes dead letters: those named in `wanted` (None: all) that match. See `replay`."""
    action = _Action("dead_letter_discarded", lambda _letter: None, progress, audit)
    return _process(sqs, queues, wanted, matching, action, None, dry_run)


@dataclass(frozen=True)
class _Action:
    """What happens to each selected letter before it is deleted, and who is notified."""

    name: str
    act: Callable[[DeadLetter], None]
    progress: Progress
    audit: AuditTrail | None

    def apply(self, held: _Held, letter: DeadLetter) -> None:
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
) -> Outcome:
    """Applies the action to each selected dead letter."""
    with _Held(sqs, queues) as held:
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


class _Held:
    """All readable dead letters, hidden from others until the `with` block ends."""

    def __init__(self, sqs: Any, queues: Mapping[str, Queues]) -> None:
        self._sqs = sqs
        self._queues = queues
        self._letters: dict[str, list[DeadLetter]] = {name: [] for name in queues}
        self._held_at: dict[str, float] = {}
        self.unread: dict[str, int] = {}

    def __enter__(self) -> _Held:
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
            letters = list(dict.fromkeys(_one(letters, identifier) for identifier in wanted))
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
        give_up_at = time.monotonic() + READ_SECONDS
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


def _one(letters: Sequence[DeadLetter], identifier: str) -> DeadLetter:
    found = [letter for letter in letters if letter.message_id.startswith(identifier)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise PermanentError(
            f"no dead letter's message id begins with {identifier!r}; "
            "`darkroom dead-letters list` shows all of them"
        )
    raise PermanentError(
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
