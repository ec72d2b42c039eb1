"""Dead letters of a running lab: reasons, replay and discard."""

from __future__ import annotations

import json
import uuid

import pytest

from services.local.state import LabState
from services.monitoring import dead_letters
from services.monitoring.dead_letter_queues import DeadLetter, Queues
from services.platform.errors import PermanentError
from services.platform.manifest import Feature
from tests.support.declarations import manifests
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

FUNCTION = "process-image"


@pytest.fixture
def queues(lab: LabState) -> dict[str, Queues]:
    return dict(lab.queues)


def poison(lab: LabState) -> str:
    """Sends a message that always fails, and returns a text that identifies it."""
    mark = uuid.uuid4().hex
    sqs = lab.session.client("sqs")
    sqs.send_message(QueueUrl=lab.queues[FUNCTION].url, MessageBody=json.dumps({"mark": mark}))
    return mark


def test_dead_letter_keeps_the_attributes_of_its_sender(
    lab: LabState, queues: dict[str, Queues]
) -> None:
    sqs, mark = lab.session.client("sqs"), uuid.uuid4().hex
    sender = {
        "attempts": {"DataType": "String", "StringValue": "many"},
        "picture": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sqs.send_message(
        QueueUrl=lab.queues[FUNCTION].url,
        MessageBody=json.dumps({"mark": mark}),
        MessageAttributes=sender,
    )
    letter = wait_for(lab, queues, mark)
    assert letter.attempts == 1
    assert letter.sender_attributes == sender
    dead_letters.replay(sqs, queues, [letter.message_id])
    again = wait_for(lab, queues, mark)
    assert again.replays == 1
    assert {n: v for n, v in again.sender_attributes.items() if n != "replayed"} == sender


def wait_for(lab: LabState, queues: dict[str, Queues], mark: str) -> DeadLetter:
    def found() -> list[DeadLetter]:
        letters = dead_letters.peek(lab.session.client("sqs"), queues)
        return [letter for letter in letters if mark in letter.body]

    return eventually(found, "the poison message becomes a dead letter")[0]


def test_dead_letter_poison_message_has_its_reason_after_one_attempt(
    lab: LabState, queues: dict[str, Queues]
) -> None:
    letter = wait_for(lab, queues, mark := poison(lab))
    assert letter.function == FUNCTION
    assert letter.error_type == "PermanentError"
    assert "expected an S3 notification" in letter.reason
    assert letter.attempts == 1
    assert letter.failed_at is not None
    assert letter.request_id
    assert letter.document()["event"] == {"mark": mark}
    found = dead_letters.find(lab.session.client("sqs"), queues, letter.message_id[:12])
    assert found.message_id == letter.message_id


def test_replay_sends_to_the_functions_own_queue(lab: LabState, queues: dict[str, Queues]) -> None:
    sqs = lab.session.client("sqs")
    first = wait_for(lab, queues, mark := poison(lab))
    seen: list[str] = []
    done = dead_letters.replay(
        sqs, queues, [first.message_id], lambda letter: seen.append(letter.message_id)
    )
    assert [letter.message_id for letter in done.letters] == seen == [first.message_id]
    # It fails again and becomes one new dead letter.
    again = wait_for(lab, queues, mark)
    assert again.message_id != first.message_id
    assert again.replays == 1
    everything = dead_letters.peek(sqs, queues)
    assert sum(mark in letter.body for letter in everything) == 1


def test_discard_deletes_only_the_named_letter(lab: LabState, queues: dict[str, Queues]) -> None:
    sqs = lab.session.client("sqs")
    one = wait_for(lab, queues, poison(lab))
    other = wait_for(lab, queues, poison(lab))
    dead_letters.discard(sqs, queues, [one.message_id])
    left = {letter.message_id for letter in dead_letters.peek(sqs, queues)}
    assert one.message_id not in left
    assert other.message_id in left


def test_replay_unknown_identifier_changes_nothing(
    lab: LabState, queues: dict[str, Queues]
) -> None:
    sqs = lab.session.client("sqs")
    letter = wait_for(lab, queues, poison(lab))
    with pytest.raises(PermanentError, match="no dead letter's message id begins"):
        dead_letters.replay(sqs, queues, [letter.message_id, "nothing-like-it"])
    assert letter.message_id in {left.message_id for left in dead_letters.peek(sqs, queues)}


def test_replay_and_discard_of_all_letters(lab: LabState, queues: dict[str, Queues]) -> None:
    sqs = lab.session.client("sqs")
    # Orders of other tests, whose payment provider is away, become dead letters at any time.
    queues = {m.name: queues[m.name] for m in manifests(Feature.PHOTOS)}
    marks = {poison(lab) for _ in range(12)}  # more than one receive can take

    def all_dead() -> bool:
        bodies = "".join(letter.body for letter in dead_letters.peek(sqs, queues))
        return all(mark in bodies for mark in marks)

    eventually(all_dead, "every poison message becomes a dead letter")
    assert len(dead_letters.replay(sqs, queues, None).letters) >= len(marks)
    eventually(all_dead, "every replayed message becomes a dead letter again")
    dead_letters.discard(sqs, queues, None)
    assert dead_letters.peek(sqs, queues) == []
