"""What a host reports about its functions: a JSON file that is replaced atomically."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.platform import timestamps
from services.runtime.execution import Invocation, Outcome

MAX_ERROR_CHARACTERS = 500


@dataclass
class Counts:
    """One function's entry in the file. `init_failures` counts failed starts since the last
    success; `queue_error` is a failure of the queue that lasts, else empty."""

    environments: int = 0
    busy: int = 0
    init_failures: int = 0
    last_error: str = ""
    last_error_at: str = ""
    invocations: int = 0
    failures: int = 0
    queue_error: str = ""


class FunctionStatus:
    """The counts of one function. Safe for several threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._counts = Counts()
        self._lock = threading.Lock()

    @property
    def failing(self) -> bool:
        """Whether the last start of an environment failed."""
        return self._counts.init_failures > 0

    def environment_started(self) -> None:
        with self._lock:
            self._counts.environments += 1
            self._counts.init_failures = 0

    def environment_ended(self) -> None:
        with self._lock:
            self._counts.environments -= 1

    def start_failed(self, error_type: str, message: str) -> None:
        with self._lock:
            self._counts.init_failures += 1
            self._note_error(error_type, message)

    def invocation_started(self) -> None:
        with self._lock:
            self._counts.busy += 1

    def invocation_ended(self, invocation: Invocation | None) -> None:
        """`invocation` is None when it could not take place."""
        with self._lock:
            self._counts.busy -= 1
            if invocation is None or invocation.outcome is Outcome.STOPPED:
                return
            self._counts.invocations += 1
            if invocation.outcome is not Outcome.SUCCESS:
                self._counts.failures += 1
                self._note_error(invocation.error_type, invocation.error_message)

    def queue_failed(self, error: str) -> None:
        with self._lock:
            if error and error != self._counts.queue_error:
                self._note_error("Queue", error)
            self._counts.queue_error = error[:MAX_ERROR_CHARACTERS]

    def snapshot(self) -> dict[str, Any]:
        with self._lock:
            return asdict(self._counts)

    def _note_error(self, error_type: str, message: str) -> None:
        self._counts.last_error = f"{error_type}: {message}"[:MAX_ERROR_CHARACTERS]
        self._counts.last_error_at = timestamps.now()


class StatusFile:
    """Writes the file when something changed. The caller decides how often it asks for that."""

    def __init__(self, path: Path | None, functions: Iterable[FunctionStatus]) -> None:
        self._path = path
        self._functions = tuple(functions)
        self._written: dict[str, Any] | None = None

    def update(self, *, draining: bool) -> None:
        """Replaces the file unless it is current. A failure to write is retried next time."""
        if self._path is None:
            return
        document = {
            "pid": os.getpid(),
            "draining": draining,
            "functions": {one.name: one.snapshot() for one in self._functions},
        }
        if document == self._written:
            return
        text = json.dumps({"updated_at": timestamps.now(), **document})
        beside = self._path.with_name(f"{self._path.name}.new")
        with suppress(OSError):
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            beside.replace(self._path)
            self._written = document
