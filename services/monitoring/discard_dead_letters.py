"""discard-dead-letters: answers POST /operations/dead-letters/discards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.monitoring import dead_letters
from services.monitoring.lab import LabConfiguration
from services.monitoring.selection import resolve
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class DiscardDeadLetters:
    """Deletes dead letters."""

    configuration: LabConfiguration
    sqs: Any

    def handle(self, request: Request) -> Response:
        """See `resolve`."""
        return resolve(dead_letters.discard, request.body, self.configuration, self.sqs)
