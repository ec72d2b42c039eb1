"""What the functions that read, replay and discard dead letters share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.monitoring import api, lab
from services.monitoring.dead_letters import Outcome
from services.monitoring.lab import LabConfiguration, Queue
from services.platform import log
from services.platform.errors import PermanentError
from services.platform.functions.http import HttpProblem
from services.platform.validation import FieldError


class LogAudit:
    """Records each letter as a log event; the invocation's fields say which user it was."""

    def record(self, action: str, **facts: Any) -> None:
        # `function` and `request_id` are those of this invocation.
        names = {"function": "failed_function", "request_id": "failed_request_id"}
        renamed = {names.get(name, name): value for name, value in facts.items()}
        log.logger().info("dead_letter_resolved", action=action, **renamed)


def queues_with_letters(
    sqs: Any, configuration: LabConfiguration, function: str | None
) -> dict[str, Queue]:
    """The queues with dead letters: of `function`, or of all."""
    found = lab.queues(sqs, configuration)
    return lab.with_dead_letters(sqs, {n: q for n, q in found.items() if function in (None, n)})


def chosen_ids(selection: api.LetterSelection) -> list[str] | None:
    """The message ids, or None for all. Raises HttpProblem 400 for both and for neither."""
    if (selection.message_ids is not None) == selection.all:
        raise HttpProblem(
            api.INVALID_REQUEST,
            "Send either `message_ids` or `all`.",
            [FieldError("message_ids", "ids, or `all`", "both" if selection.all else "neither")],
        )
    return selection.message_ids


def resolved(selection: api.LetterSelection, outcome: Outcome) -> api.Resolved:
    """The answer to a replay or a discard."""
    return api.Resolved(
        letters=[
            api.SelectedLetter(function=letter.function, message_id=letter.message_id)
            for letter in outcome.letters
        ],
        dry_run=selection.dry_run,
        unread=unread(outcome.unread),
    )


def not_found(error: PermanentError) -> HttpProblem:
    """The 404 response to an id that no dead letter has."""
    return HttpProblem(api.LETTER_NOT_FOUND, str(error))


def unread(counts: Mapping[str, int]) -> list[api.Unread]:
    return [api.Unread(function=name, count=count) for name, count in sorted(counts.items())]
