"""`darkroom dead-letters`: filters, dry runs, exit codes and the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.cli.main import main
from services.local import lab
from services.platform.aws import dead_letter
from tests.support.fake_sqs import FakeQueues, FakeSqs

QUEUES = {name: FakeQueues(name, f"{name}-dead") for name in ("process-image", "fail-order")}
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSqs:
    """The queues of a running lab, with an old and a new letter."""
    fake = FakeSqs()
    session = SimpleNamespace(client=lambda _service: fake)
    monkeypatch.setattr(lab, "running", lambda: SimpleNamespace(session=session, queues=QUEUES))
    monkeypatch.setenv("DARKROOM_AUDIT_LOG", str(tmp_path / "audit.jsonl"))
    for body, error, hours in (("old photo", "KeyError", 5), ("new photo", "ValueError", 0)):
        failed_at = datetime.now(UTC) - timedelta(hours=hours)
        attributes = dead_letter.attributes("[why]", error, "r", 5, "process-image", failed_at)
        fake.put("process-image-dead", body, attributes)
    return fake


@pytest.fixture
def run(sqs: FakeSqs, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str]:
        code = main(["dead-letters", *arguments])
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("options", "bodies"),
    [
        ((), ["old photo", "new photo"]),
        (("--error", "KeyError"), ["old photo"]),
        (("--text", "NEW"), ["new photo"]),
        (("--older", "2h"), ["old photo"]),
        (("--newer", "2h"), ["new photo"]),
        (("--function", "fail-order"), []),
    ],
)
def test_list_filters_letters(run: Run, options: tuple[str, ...], bodies: list[str]) -> None:
    code, out = run("list", "--json", *options)
    assert (code, [letter["event"] for letter in json.loads(out)]) == (0, bodies)


def test_list_for_people_shows_reason_and_error(run: Run) -> None:
    code, out = run("list")
    assert code == 0
    assert out.count("[why]") == 2
    assert "KeyError" in out
    assert "attempt 5" in out


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_dry_run_changes_nothing(run: Run, sqs: FakeSqs, action: str, tmp_path: Path) -> None:
    code, out = run(action, "--all", "--dry-run")
    assert (code, f"would {action}: 2 dead letters" in out) == (0, True)
    assert sqs.bodies("process-image-dead") == ["old photo", "new photo"]
    assert sqs.bodies("process-image") == []
    assert not (tmp_path / "audit.jsonl").exists()


def test_replay_filtered_is_recorded_in_the_audit_log(
    run: Run, sqs: FakeSqs, tmp_path: Path
) -> None:
    code, out = run("replay", "--all", "--error", "KeyError", "--rate", "1000")
    assert (code, "replayed: 1 dead letters" in out) == (0, True)
    assert sqs.bodies("process-image") == ["old photo"]
    assert sqs.bodies("process-image-dead") == ["new photo"]
    (entry,) = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (entry["action"], entry["function"]) == ("dead_letter_replayed", "process-image")


def test_replay_all_with_unread_letters_fails(
    sqs: FakeSqs, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs.receive_message(QueueUrl="process-image-dead", MaxNumberOfMessages=10)
    assert main(["dead-letters", "replay", "--all"]) == 1
    assert "2 more dead letters were not read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [("--older", "soon"), ("--newer", "2"), ("--function", "no-function")]
)
def test_replay_invalid_option_changes_nothing(
    run: Run, sqs: FakeSqs, options: tuple[str, str]
) -> None:
    assert run("replay", "--all", *options)[0] == 2
    assert sqs.bodies("process-image") == []


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "nan", "inf"])
def test_replay_invalid_rate_is_wrong_usage(sqs: FakeSqs, rate: str) -> None:
    assert main(["dead-letters", "replay", "--all", f"--rate={rate}"]) == 2
    assert sqs.bodies("process-image") == []
