import json
import os
from pathlib import Path

import pytest

from services.local.provision import FunctionQueue
from services.local.state import ChildState, LabFiles, LabState, LabStatus, alive

STATE = LabState(
    LabStatus.READY,
    pid=1,
    endpoint="http://127.0.0.1:1",
    buckets={"originals": "o"},
    queues={"f": FunctionQueue("u", "a", "du", "da")},
    children=(ChildState("f", 2, 0, "f.log"),),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    files = LabFiles(tmp_path)
    files.write(STATE)
    assert files.read() == STATE


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"status": "odd"}', json.dumps({"status": "ready", "pid": 1})]
)
def test_a_state_of_another_version_is_no_state(tmp_path: Path, text: str) -> None:
    files = LabFiles(tmp_path)
    files.state.write_text(text)
    assert files.read() is None


def test_no_lab_has_no_state(tmp_path: Path) -> None:
    assert LabFiles(tmp_path).read() is None


def test_this_process_lives_and_an_ended_one_does_not() -> None:
    assert alive(os.getpid())
    ended = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(ended, 0)
    assert not alive(ended)
