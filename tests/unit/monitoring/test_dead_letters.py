"""Dead letters: reading, filters, replay and discard, against a fake SQS that may fail."""

from __future__ import annotations

import itertools
import json
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.monitoring import dead_letters
from services.monitoring.dead_letter_queues import HOLD_SECONDS, Filter
from services.operations.audit import AuditTrail
from services.platform.aws import dead_letter
from services.platform.errors import PermanentError
from tests.support.fake_sqs import SENT_MS, FakeQueues, FakeSqs

QUEUES = {name: FakeQueues(name, f"{name}-dead") for name in ("a", "b")}


@pytest.fixture
def sqs() -> FakeSqs:
    return FakeSqs()


def text(value: str) -> dict[str, Any]:
    return {"DataType": "String", "StringValue": value}


def attributes(
    error_type: str = "ValueError",
    reason: str = "why",
    age: timedelta = timedelta(),
    sender: dict[str, Any] | None = None,
) -> dict[str, Any]:
    failed_at = datetime.now(UTC) - age
    return dead_letter.attributes(reason, error_type, "r", 5, "a", failed_at, sender=sender)


# -- reading


def test_survey_foreign_attributes_of_any_value_are_listed(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "one", {"attempts": text("many"), "reason": text("of the sender")})
    sqs.put("a-dead", "two", {name: text("no number") for name in dead_letter.NAMES})
    packed = {"sender_attributes": text("no JSON")}
    sqs.put("a-dead", "three", {name: text("x") for name in dead_letter.NAMES} | packed)
    sqs.put("b-dead", "four", attributes())
    listing = dead_letters.survey(sqs, QUEUES)
    assert {letter.body: letter.attempts for letter in listing.letters} == {
        "one": None, "two": None, "three": None, "four": 5,
    }  # fmt: skip
    assert listing.unread == {}
    assert sqs.hidden == set()


def test_survey_a_thousand_letters_are_all_listed(sqs: FakeSqs) -> None:
    for number in range(1000):
        sqs.put("a-dead", str(number), attributes())
    listing = dead_letters.survey(sqs, QUEUES)
    assert len({letter.message_id for letter in listing.letters}) == 1000
    assert sqs.hidden == set()


def test_survey_slow_queue_reports_what_it_did_not_read(
    sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        sqs.put("a-dead", str(number), attributes())
    clock = itertools.count(step=250)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    listing = dead_letters.survey(sqs, {"a": QUEUES["a"]})
    assert 0 < len(listing.letters) < 30
    assert listing.unread == {"a": 30 - len(listing.letters)}


def test_survey_letters_hidden_by_another_reader_are_unread(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "hidden", attributes())
    sqs.receive_message(QueueUrl="a-dead", MaxNumberOfMessages=10)
    listing = dead_letters.survey(sqs, QUEUES)
    assert (listing.letters, listing.unread) == ((), {"a": 1})


def test_survey_failing_queue_shows_all_letters_again(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "one", attributes())
    sqs.put("b-dead", "two", attributes())

    def fail(name: str, arguments: dict[str, Any]) -> None:
        if name == "get_queue_attributes" and arguments["QueueUrl"] == "b-dead":
            raise OSError("lost")

    sqs.fail = fail
    with pytest.raises(OSError, match="lost"):
        dead_letters.survey(sqs, QUEUES)
    assert sqs.hidden == set()


# -- filters


@pytest.mark.parametrize(
    ("matching", "bodies"),
    [
        (Filter(), {"new Photo", "old order"}),
        (Filter(error_type="KeyError"), {"old order"}),
        (Filter(error_type="Key"), set()),
        (Filter(text="PHOTO"), {"new Photo"}),
        (Filter(text="timeout"), {"old order"}),
        (Filter(older_than=timedelta(hours=1)), {"old order"}),
        (Filter(newer_than=timedelta(hours=1)), {"new Photo"}),
        (Filter(newer_than=timedelta(hours=1), error_type="KeyError"), set()),
    ],
)
def test_survey_filter_selects_matching_letters(
    sqs: FakeSqs, matching: Filter, bodies: set[str]
) -> None:
    sqs.put("a-dead", "new Photo", attributes())
    sqs.put("b-dead", "old order", attributes("KeyError", "a Timeout", timedelta(days=2)))
    listing = dead_letters.survey(sqs, QUEUES, matching)
    assert {letter.body for letter in listing.letters} == bodies


def test_filter_unexplained_letter_counts_age_from_its_sending(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "moved by SQS", {"failed_at": text("no time")})
    (letter,) = dead_letters.survey(sqs, QUEUES).letters
    assert letter.died_at() == datetime.fromtimestamp(SENT_MS / 1000, UTC)


# -- replay and discard


def test_replay_keeps_sender_attributes_and_counts_replays(sqs: FakeSqs) -> None:
    sender = {"type": text("order.created"), "attempts": text("many")}
    sqs.put("a-dead", "body", attributes(sender=sender))
    outcome = dead_letters.replay(sqs, QUEUES, None)
    assert [letter.body for letter in outcome.letters] == ["body"]
    assert sqs.bodies("a-dead") == []
    (sent,) = sqs.messages["a"]
    assert {n: v for n, v in sent["MessageAttributes"].items() if n != "replayed"} == sender
    assert dead_letter.replay_count(sent["MessageAttributes"]) == 1
    # It fails and is replayed again.
    sqs.put("a-dead", "body", attributes(sender=sent["MessageAttributes"]))
    (letter,) = dead_letters.replay(sqs, QUEUES, None).letters
    assert letter.replays == 1
    assert dead_letter.replay_count(sqs.messages["a"][-1]["MessageAttributes"]) == 2


def test_replay_too_many_sender_attributes_is_refused(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "body", {f"own-{n}": text("x") for n in range(10)})
    with pytest.raises(PermanentError, match="has 10 attributes"):
        dead_letters.replay(sqs, QUEUES, None)
    assert (sqs.bodies("a"), sqs.bodies("a-dead"), sqs.hidden) == ([], ["body"], set())


@pytest.mark.parametrize("call", ["send_message", "delete_message"])
def test_replay_failure_shows_the_rest_again(sqs: FakeSqs, call: str) -> None:
    for number in range(25):
        sqs.put("a-dead", str(number), attributes())
    calls = itertools.count()

    def fail(name: str, _arguments: dict[str, Any]) -> None:
        if name == call and next(calls) == 3:
            raise OSError("lost")

    sqs.fail = fail
    seen: list[str] = []
    with pytest.raises(OSError, match="lost"):
        dead_letters.replay(sqs, QUEUES, None, lambda letter: seen.append(letter.body))
    assert seen == ["0", "1", "2"]
    assert sqs.bodies("a-dead") == [str(number) for number in range(3, 25)]
    assert sqs.hidden == set()


def test_replay_dry_run_sends_and_deletes_nothing(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "body", attributes())
    outcome = dead_letters.replay(sqs, QUEUES, None, dry_run=True)
    assert [letter.body for letter in outcome.letters] == ["body"]
    assert (sqs.bodies("a"), sqs.bodies("a-dead"), sqs.hidden) == ([], ["body"], set())


def test_replay_is_limited_to_its_rate(sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        sqs.put("a-dead", str(number), attributes())
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    dead_letters.replay(sqs, QUEUES, None, per_second=4)
    assert pauses == [0.25] * 4


def test_replay_slow_run_keeps_the_remaining_letters_hidden(
    sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        sqs.put("a-dead", str(number), attributes())
    now = 0.0
    renewed: list[int] = []

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    def watch(name: str, arguments: dict[str, Any]) -> None:
        if name == "change_message_visibility_batch":
            renewed.extend(e["VisibilityTimeout"] for e in arguments["Entries"])

    sqs.fail = watch
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", pass_time)
    dead_letters.replay(sqs, QUEUES, None, per_second=1 / 40)
    # 40 s and 80 s after they were received: two letters, then one.
    assert renewed == [HOLD_SECONDS] * 3


def test_replay_reports_letters_it_could_not_read(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "hidden", attributes())
    sqs.receive_message(QueueUrl="a-dead", MaxNumberOfMessages=10)
    outcome = dead_letters.replay(sqs, QUEUES, None)
    assert (outcome.letters, outcome.unread) == ((), {"a": 1})


def test_discard_filtered_leaves_the_others_visible(sqs: FakeSqs) -> None:
    sqs.put("a-dead", "one", attributes("KeyError"))
    sqs.put("a-dead", "two", attributes())
    dead_letters.discard(sqs, QUEUES, None, matching=Filter(error_type="KeyError"))
    assert (sqs.bodies("a-dead"), sqs.hidden) == (["two"], set())


def test_replay_ambiguous_identifier_sends_nothing(sqs: FakeSqs) -> None:
    for body in ("one", "two"):
        sqs.put("a-dead", body, attributes())
    with pytest.raises(PermanentError, match="give more characters"):
        dead_letters.replay(sqs, QUEUES, ["m0"])
    assert (sqs.bodies("a"), sqs.hidden) == ([], set())


# -- the audit trail


def test_audit_trail_records_every_letter_and_failure(sqs: FakeSqs, tmp_path: Path) -> None:
    for body in ("first@customer.example", "second"):
        sqs.put("a-dead", body, attributes())
    calls = itertools.count()

    def fail(name: str, _arguments: dict[str, Any]) -> None:
        if name == "send_message" and next(calls) == 1:
            raise OSError("lost")

    sqs.fail = fail
    trail = AuditTrail(tmp_path / "new" / "audit.jsonl")
    with pytest.raises(OSError, match="lost"):
        dead_letters.replay(sqs, QUEUES, None, audit=trail)
    sqs.fail = lambda _name, _arguments: None
    dead_letters.discard(sqs, QUEUES, None, audit=trail)
    entries = [json.loads(line) for line in trail.path.read_text().splitlines()]
    assert [(e["action"], e["message_id"], e["failed"]) for e in entries] == [
        ("dead_letter_replayed", "m0000", None),
        ("dead_letter_replayed", "m0001", "OSError: lost"),
        ("dead_letter_discarded", "m0001", None),
    ]
    assert all(e["user"] and e["host"] and e["at"].endswith("Z") for e in entries)
    assert "customer.example" not in trail.path.read_text()
    assert stat.S_IMODE(trail.path.stat().st_mode) == 0o600


def test_audit_trail_dry_run_records_nothing(sqs: FakeSqs, tmp_path: Path) -> None:
    sqs.put("a-dead", "body", attributes())
    trail = AuditTrail(tmp_path / "audit.jsonl")
    dead_letters.discard(sqs, QUEUES, None, dry_run=True, audit=trail)
    assert not trail.path.exists()
