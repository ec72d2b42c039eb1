"""Reads the workers' logs: JSON lines of the worker (reports) and of the handlers (outcomes)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_SETTLED = ("developed", "rejected")
_REPEATED_OUTCOME = "repeated"
_MAIL_REPEATED = "email_already_sent"


@dataclass(frozen=True)
class Invocation:
    """One report line. Durations in milliseconds, memory in MiB, `at` in seconds since the epoch
    (when it ended)."""

    worker: str
    function: str
    at: float
    outcome: str
    duration_ms: float
    billed_ms: int
    memory_mib: int
    peak_mib: int
    init_ms: float | None

    @property
    def cold(self) -> bool:
        return self.init_ms is not None


@dataclass(frozen=True)
class WorkerLogs:
    """What the logs of all workers say together.

    `settled` has the time at which each photo (by `upload_of` its key) was in the catalogue and
    announced, as its handler logged it. `attempts` has the highest receive count that a handler saw
    for each message, by function and id. `repetitions` counts messages that were recognised as done
    before.
    """

    invocations: tuple[Invocation, ...]
    settled: dict[str, float]
    attempts: dict[tuple[str, str], int]
    repetitions: int

    @property
    def redeliveries(self) -> int:
        return sum(attempt - 1 for attempt in self.attempts.values())


def upload_of(key: str) -> str:
    """The part of an original's key that logs contain: `<owner>/<upload>`, without the filename."""
    return "/".join(key.split("/", 2)[:2])


def read(logs: Iterable[tuple[str, str]]) -> WorkerLogs:
    """Reads (worker, log) pairs. Lines that are no JSON objects are ignored: a killed worker
    may leave half a line."""
    invocations: list[Invocation] = []
    settled: dict[str, float] = {}
    attempts: dict[tuple[str, str], int] = {}
    repetitions = 0
    for worker, text in logs:
        for line in text.splitlines():
            document = _document(line)
            if document is None:
                continue
            event, outcome = document.get("event"), str(document.get("outcome", ""))
            if event == "report":
                invocations.append(_invocation(worker, document))
                continue
            if "message_id" in document and "attempt" in document:
                message = (str(document.get("function")), str(document["message_id"]))
                attempts[message] = max(attempts.get(message, 1), int(document["attempt"]))
            if event == "original_created" and outcome in _SETTLED:
                upload, at = f"{document['owner']}/{document['upload']}", _seconds(document)
                settled[upload] = min(at, settled.get(upload, at))
            repetitions += event == _MAIL_REPEATED or outcome.startswith(_REPEATED_OUTCOME)
    invocations.sort(key=lambda invocation: invocation.at)
    return WorkerLogs(tuple(invocations), settled, attempts, repetitions)


def _document(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "timestamp" in found else None


def _invocation(worker: str, document: dict[str, Any]) -> Invocation:
    return Invocation(
        worker=worker,
        function=document["function"],
        at=_seconds(document),
        outcome=document["outcome"],
        duration_ms=float(document["duration_ms"]),
        billed_ms=int(document["billed_duration_ms"]),
        memory_mib=int(document["memory_size_mib"]),
        peak_mib=int(document["max_memory_used_mib"]),
        init_ms=float(document["init_duration_ms"]) if document["cold"] else None,
    )


def _seconds(document: dict[str, Any]) -> float:
    return datetime.fromisoformat(str(document["timestamp"])).timestamp()
