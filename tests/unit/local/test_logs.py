"""Merging the logs of a lab's processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.local import logs
from services.local.state import LabFiles


@pytest.fixture
def files(tmp_path: Path) -> LabFiles:
    files = LabFiles(tmp_path)
    files.logs.mkdir()
    return files


def line(second: int, **fields: object) -> str:
    return json.dumps({"timestamp": f"2026-03-01T12:00:{second:02d}.000000Z", **fields}) + "\n"


def test_read_merges_logs_by_time(files: LabFiles) -> None:
    files.log("gateway").write_text(line(1, event="a") + line(4, event="d"))
    files.log("worker").write_text(line(2, event="b") + "Traceback\n" + line(3, event="c"))
    texts = [found.fields["event"] if found.fields else found.text for found in logs.read(files)]
    assert texts == ["a", "b", "Traceback", "c", "d"]


def test_read_keeps_lines_before_the_first_time_in_front(files: LabFiles) -> None:
    files.log("worker").write_text("starting\n" + line(2, event="b"))
    files.log("gateway").write_text(line(1, event="a"))
    assert [found.text[:8] for found in logs.read(files)][1] == "starting"


def test_read_selects_a_function_by_field_or_process(files: LabFiles) -> None:
    files.log("worker").write_text(
        line(1, event="a", function="process-image") + line(2, event="b", function="start-orders")
    )
    files.log("process-image").write_text(line(3, event="c"))
    events = [found.document()["event"] for found in logs.read(files, function="process-image")]
    assert events == ["a", "c"]


def test_read_since_leaves_out_earlier_lines(files: LabFiles) -> None:
    files.log("worker").write_text(line(1, event="a") + line(5, event="b"))
    (found,) = logs.read(files, since=next(iter(logs.read(files))).at + 1)
    assert found.document() == {
        "timestamp": "2026-03-01T12:00:05.000000Z", "process": "worker", "event": "b"
    }  # fmt: skip


def test_read_takes_bytes_that_are_no_text(files: LabFiles) -> None:
    files.log("worker").write_bytes(b"\xff\xfe broken\n[1, 2]\n{not json\n")
    assert [found.fields for found in logs.read(files)] == [None, None, None]


def test_follow_yields_only_whole_new_lines(files: LabFiles) -> None:
    files.log("worker").write_text(line(1, event="old"))
    written = iter([line(2, event="new") + '{"event": "half', '"}\n', ""])

    def stop() -> bool:
        text = next(written, None)
        if text is None:
            return True
        with files.log("worker").open("a") as opened:
            opened.write(text)
        return False

    found = [item.fields["event"] for item in logs.follow(files, stop=stop) if item.fields]
    assert found == ["new", "half"]
