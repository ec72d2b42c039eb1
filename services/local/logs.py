"""The logs of a lab's processes, merged by time.

Each line of a log is a JSON object of structlog's, one of Lambda's START/END/REPORT lines, or free
text. Lines without a time keep the time of the line before them.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.local.state import LabFiles

POLL_SECONDS = 0.2
_TIME_FIELDS = ("timestamp", "time")
_FUNCTION_FIELDS = ("function", "function_name")


@dataclass(frozen=True)
class LogLine:
    """One line: seconds since the epoch, the process that wrote it, its text, and its fields if it
    is a JSON object."""

    at: float
    process: str
    text: str
    fields: dict[str, Any] | None

    @property
    def function(self) -> str:
        """The function that the line is about; the process's name if it names none."""
        for name in _FUNCTION_FIELDS:
            if self.fields is not None and isinstance(self.fields.get(name), str):
                return str(self.fields[name])
        return self.process

    def document(self) -> dict[str, Any]:
        when = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        return {
            "timestamp": when.replace("+00:00", "Z"),
            "process": self.process,
            **(self.fields if self.fields is not None else {"text": self.text}),
        }


def read(files: LabFiles, *, since: float = 0.0, function: str | None = None) -> Iterator[LogLine]:
    """All lines since `since` (seconds since the epoch) in order of time."""
    logs = [_lines(path, path.stem) for path in sorted(files.logs.glob("*.log"))]
    for line in heapq.merge(*logs, key=lambda line: line.at):
        if line.at >= since and _wanted(line, function):
            yield line


def follow(
    files: LabFiles, *, function: str | None = None, stop: Callable[[], bool] = lambda: False
) -> Iterator[LogLine]:
    """Lines that are written from now on, until `stop` returns true."""
    positions = {path: path.stat().st_size for path in files.logs.glob("*.log")}
    while not stop():
        fresh: list[LogLine] = []
        for path in sorted(files.logs.glob("*.log")):
            text, positions[path] = _since(path, positions.get(path, 0))
            fresh += _parsed(text.splitlines(), path.stem, time.time())
        for line in sorted(fresh, key=lambda line: line.at):
            if _wanted(line, function):
                yield line
        time.sleep(POLL_SECONDS)


def _since(path: Path, position: int) -> tuple[str, int]:
    """The whole lines after `position`, and the position after them."""
    with path.open("rb") as opened:
        opened.seek(position)
        content = opened.read()
    end = content.rfind(b"\n") + 1
    return content[:end].decode("utf-8", "replace"), position + end


def _wanted(line: LogLine, function: str | None) -> bool:
    return function is None or function in (line.function, line.process)


def _lines(path: Path, process: str) -> list[LogLine]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return _parsed(text.splitlines(), process, path.stat().st_mtime)


def _parsed(lines: Sequence[str], process: str, default: float) -> list[LogLine]:
    """The lines that are not empty. `default` is the time of a log without any time."""
    parsed = [(text, _object(text)) for text in lines if text]
    times = [_time(fields) for _, fields in parsed]
    at = next((found for found in times if found is not None), default)
    result = []
    for (text, fields), found in zip(parsed, times, strict=True):
        # Never back in time: lines of one log keep their order.
        at = max(at, found) if found is not None else at
        result.append(LogLine(at, process, text, fields))
    return result


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _time(fields: dict[str, Any] | None) -> float | None:
    for name in _TIME_FIELDS:
        value = fields.get(name) if fields is not None else None
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
            except ValueError:
                return None
    return None
