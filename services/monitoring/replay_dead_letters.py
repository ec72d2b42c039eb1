"""replay-dead-letters: answers POST /operations/dead-letters/replays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.monitoring import api, dead_letters
from services.monitoring.dead_letter_queues import LetterNotFound
from services.monitoring.lab import LabConfiguration
from services.monitoring.selection import (
    LogAudit,
    chosen_ids,
    not_found,
    queues_with_letters,
    resolved,
)
from services.platform.functions.http import Request, Response


@dataclass(frozen=True)
class ReplayDeadLetters:
    """Sends dead letters back to the queues of their functions."""

    configuration: LabConfiguration
    sqs: Any

    def handle(self, request: Request) -> Response:
        """Returns 200 with the selected letters. Raises HttpProblem 400 for no selection, 404 for
        an id of no letter."""
        selection: api.LetterSelection = request.body
        wanted = chosen_ids(selection)
        queues = queues_with_letters(self.sqs, self.configuration, selection.function)
        try:
            outcome = dead_letters.replay(
                self.sqs,
                queues,
                wanted,
                matching=api.matching(selection),
                dry_run=selection.dry_run,
                audit=LogAudit(),
                read_seconds=api.READ_SECONDS,
            )
        except LetterNotFound as error:
            raise not_found(error) from None
        return Response(200, resolved(selection, outcome))
