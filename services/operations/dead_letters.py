"""Dead letters: what failed for good, why, and what to do with it.

A replay receives a dead letter, sends its body to the function's own queue, and only then deletes
it: a crash in between leaves it twice, never lost, and functions take a repetition.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from services.platform.aws import dead_letter
from services.platform.errors import PermanentError

# SQS gives at most this many messages a call.
_RECEIVE_MESSAGES = 10
# As many as a client keeps connections.
_QUEUES_AT_ONCE = 10
# While we look through a queue its messages are hidden, so that each is seen once.
LOOK_SECONDS = 30
# Before it is replayed or discarded a message is hidden for longer than that takes.
HOLD_SECONDS = 60
_UNKNOWN = (
    "unknown: the environment ended before it could say why; look for the message id in the "
    "function's log"
)


class Queues(Protocol):
    """A function's queue and its dead letter queue, by URL."""

    @property
    def url(self) -> str: ...

    @property
    def dead_letter_url(self) -> str: ...


@dataclass(frozen=True)
class DeadLetter:
    """One message that failed for good. Times are ISO 8601 in UTC."""

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
            "event": event,
        }


def peek(sqs: Any, queues: Mapping[str, Queues]) -> list[DeadLetter]:
    """Every dead letter of `queues` (by function), oldest first; all stay where they are."""
    taken = _receive_from(sqs, queues, LOOK_SECONDS)
    for function, letters in taken.items():
        _show_again(sqs, queues[function].dead_letter_url, letters)
    letters = [letter for of_function in taken.values() for letter in of_function]
    return sorted(letters, key=lambda letter: letter.failed_at or letter.sent_at)


def find(sqs: Any, queues: Mapping[str, Queues], identifier: str) -> DeadLetter:
    """The one dead letter whose message id begins with `identifier`.

    Raises PermanentError when there is none, or more than one.
    """
    return _one(peek(sqs, queues), identifier)


def replay(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    progress: Callable[[DeadLetter], None] = lambda _letter: None,
) -> list[DeadLetter]:
    """Sends dead letters back to their own queues: those named in `wanted`, or all for None.

    Raises PermanentError, before anything is sent, for a name that fits none or more than one.
    """

    def send_back(letter: DeadLetter) -> None:
        sqs.send_message(
            QueueUrl=queues[letter.function].url,
            MessageBody=letter.body,
            MessageAttributes={
                dead_letter.REPLAYED: {"DataType": "String", "StringValue": letter.message_id}
            },
        )
        progress(letter)

    return _take(sqs, queues, wanted, send_back)


def discard(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    progress: Callable[[DeadLetter], None] = lambda _letter: None,
) -> list[DeadLetter]:
    """Deletes dead letters for good: those named in `wanted`, or all for None."""
    return _take(sqs, queues, wanted, progress)


def _take(
    sqs: Any,
    queues: Mapping[str, Queues],
    wanted: Sequence[str] | None,
    act: Callable[[DeadLetter], None],
) -> list[DeadLetter]:
    """Does `act` for each wanted dead letter, then deletes it."""
    taken = _receive_from(sqs, queues, HOLD_SECONDS)
    everything = [letter for letters in taken.values() for letter in letters]
    chosen: list[DeadLetter] = []
    try:
        chosen = (
            everything
            if wanted is None
            else list(dict.fromkeys(_one(everything, identifier) for identifier in wanted))
        )
        for letter in chosen:
            act(letter)
            sqs.delete_message(
                QueueUrl=queues[letter.function].dead_letter_url,
                ReceiptHandle=letter.receipt_handle,
            )
    finally:
        for function, letters in taken.items():
            left = [letter for letter in letters if letter not in chosen]
            _show_again(sqs, queues[function].dead_letter_url, left)
    return chosen


def _one(letters: Sequence[DeadLetter], identifier: str) -> DeadLetter:
    found = [letter for letter in letters if letter.message_id.startswith(identifier)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise PermanentError(
            f"no dead letter's message id begins with {identifier!r}; "
            "`darkroom dead-letters list` shows those there are"
        )
    raise PermanentError(
        f"{len(found)} dead letters' message ids begin with {identifier!r}; give more of the id"
    )


def _receive_from(
    sqs: Any, queues: Mapping[str, Queues], hide_seconds: int
) -> dict[str, list[DeadLetter]]:
    """The visible dead letters of all `queues`, side by side: each queue's last answer, that there
    are no more, takes a second."""
    with ThreadPoolExecutor(_QUEUES_AT_ONCE) as pool:
        taken = pool.map(
            lambda item: list(_receive_all(sqs, item[0], item[1], hide_seconds)), queues.items()
        )
        return dict(zip(queues, taken, strict=True))


def _receive_all(
    sqs: Any, function: str, queues: Queues, hide_seconds: int
) -> Iterator[DeadLetter]:
    """The visible dead letters, each hidden for `hide_seconds` from now on."""
    give_up_at = time.monotonic() + hide_seconds / 2
    while time.monotonic() < give_up_at:
        answer = sqs.receive_message(
            QueueUrl=queues.dead_letter_url,
            MaxNumberOfMessages=_RECEIVE_MESSAGES,
            VisibilityTimeout=hide_seconds,
            WaitTimeSeconds=1,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        if not answer.get("Messages"):
            return
        for message in answer["Messages"]:
            yield _letter(function, message)


def _show_again(sqs: Any, url: str, letters: Sequence[DeadLetter]) -> None:
    for start in range(0, len(letters), _RECEIVE_MESSAGES):
        sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(i), "ReceiptHandle": letter.receipt_handle, "VisibilityTimeout": 0}
                for i, letter in enumerate(letters[start : start + _RECEIVE_MESSAGES])
            ],
        )


def _letter(function: str, message: Mapping[str, Any]) -> DeadLetter:
    told = {
        name: attribute["StringValue"]
        for name, attribute in message.get("MessageAttributes", {}).items()
        if "StringValue" in attribute
    }
    sent_ms = int(message["Attributes"]["SentTimestamp"])
    attempts = told.get(dead_letter.ATTEMPTS)
    return DeadLetter(
        function=function,
        message_id=message["MessageId"],
        reason=told.get(dead_letter.REASON, _UNKNOWN),
        error_type=told.get(dead_letter.ERROR_TYPE, "unknown"),
        request_id=told.get(dead_letter.REQUEST_ID),
        attempts=int(attempts) if attempts is not None else None,
        failed_at=told.get(dead_letter.FAILED_AT),
        sent_at=datetime.fromtimestamp(sent_ms / 1000, UTC).isoformat(timespec="seconds"),
        body=message["Body"],
        receipt_handle=message["ReceiptHandle"],
    )
