"""Bounds how many processes of a lab start at the same time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# A worker logs one of these when its execution environment is up or has failed to start.
STARTED = (b"environment_started", b"init_failed")
POLL_SECONDS = 0.02
# A process that has not started by then no longer delays the others.
TURN_SECONDS = 15.0


@dataclass(frozen=True)
class _Start:
    """A process that starts. Its own log lines begin at the byte `offset` of `log`."""

    process: subprocess.Popen[bytes]
    log: Path
    offset: int
    give_up_at: float

    def over(self) -> bool:
        if self.process.poll() is not None or time.monotonic() >= self.give_up_at:
            return True
        with self.log.open("rb") as lines:
            lines.seek(self.offset)
            written = lines.read()
        return any(event in written for event in STARTED)


@dataclass
class StartLimit:
    """Lets `limit` processes start at the same time.

    A start is over when the process logs that its execution environment is up or has failed, when
    it ends, and after `turn_seconds`. `check_stop` is called while a start waits for its turn and
    raises to give up.
    """

    limit: int
    check_stop: Callable[[], None] = lambda: None
    turn_seconds: float = TURN_SECONDS
    _starts: list[_Start] = field(default_factory=list)

    def spawn(
        self, spawn: Callable[[], subprocess.Popen[bytes]], log: Path
    ) -> subprocess.Popen[bytes]:
        """Waits for a turn, then calls `spawn`, whose process appends to `log`."""
        while True:
            self._starts = [start for start in self._starts if not start.over()]
            if len(self._starts) < self.limit:
                break
            self.check_stop()
            time.sleep(POLL_SECONDS)
        offset = log.stat().st_size if log.exists() else 0
        process = spawn()
        give_up_at = time.monotonic() + self.turn_seconds
        self._starts.append(_Start(process, log, offset, give_up_at))
        return process
