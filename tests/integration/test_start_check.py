"""`darkroom status --check` finds functions that cannot start, also without any event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from services.local import start_check
from services.local.state import LabFiles, LabState, LabStatus
from tests.integration.worker.support import write_function

pytestmark = pytest.mark.slow

WORKS = "print('a line of the handler')\ndef handler(event, context): return {}\n"
BROKEN = "raise RuntimeError('no table is configured')\n"
QUEUE = "http://127.0.0.1:1/000000000000/"


def entry(folder: Path, handler: str) -> dict[str, Any]:
    return {
        "folder": str(write_function(folder, handler)),
        "queue_url": QUEUE + folder.name,
        "environment": {"AWS_REGION": "eu-central-1"},
    }


def test_check_names_the_function_that_cannot_start_and_its_reason(tmp_path: Path) -> None:
    functions = [entry(tmp_path / "works", WORKS), entry(tmp_path / "broken", BROKEN)]
    (tmp_path / "worker-1.json").write_text(json.dumps({"functions": functions}))
    (tmp_path / "state.json").write_text("{}")
    state = LabState(LabStatus.READY, pid=1, endpoint="http://127.0.0.1:1")
    found = start_check.check_starts(state, LabFiles(tmp_path))
    assert list(found) == ["broken"]
    assert "no table is configured" in found["broken"]


def test_check_of_a_healthy_lab_finds_nothing(
    lab: LabState, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(lab.mail_folder).parent
    files = LabFiles(root)
    assert start_check.check_starts(lab, files) == {}
    monkeypatch.setattr("services.cli.lab.DEFAULT_ROOT", root)
    monkeypatch.setattr("services.cli.lab.lab.running", lambda: lab)
    monkeypatch.setattr(
        "services.local.start_check.check_starts", lambda *_: {"send-image-email": "ImportError: x"}
    )
    assert main(["status", "--check", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert "send-image-email cannot start: ImportError: x" in problems
