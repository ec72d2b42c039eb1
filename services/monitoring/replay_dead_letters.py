"""replay-dead-letters: answers POST /operations/dead-letters/replays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.monitoring import dead_letters
from services.monitoring.lab import LabConfiguration
from services.monitoring.selection import resolve
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ReplayDeadLetters:
    """Sends dead letters back to the queues of their functions."""

    configuration: LabConfiguration
    sqs: Any

    def handle(self, request: Request) -> Response:
        """See `resolve`."""
        return resolve(dead_letters.replay, request.body, self.configuration, self.sqs)
