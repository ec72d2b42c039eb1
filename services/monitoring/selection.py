"""What the functions that read, replay and discard dead letters share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.monitoring import api, lab
from services.monitoring.dead_letter_queues import LetterNotFound
from services.monitoring.dead_letters import Outcome
from services.monitoring.lab import LabConfiguration, Queue
from services.platform import log
from services.platform.functions.http import HttpProblem, Response
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


def resolve(
    act: Callable[..., Outcome],
    selection: api.LetterSelection,
    configuration: LabConfiguration,
    sqs: Any,
) -> Response:
    """Replays or discards the selected letters; `act` is a function of dead_letters. Returns 200
    with the letters. Raises HttpProblem 400 for no selection, 404 for an id of no letter."""
    wanted = chosen_ids(selection)
    try:
        outcome = act(
            sqs,
            queues_with_letters(sqs, configuration, selection.function),
            wanted,
            matching=api.matching(selection),
            dry_run=selection.dry_run,
            audit=LogAudit(),
            read_seconds=api.READ_SECONDS,
        )
    except LetterNotFound as error:
        raise HttpProblem(api.LETTER_NOT_FOUND, str(error)) from None
    return Response(200, _resolved(selection, outcome))


def _resolved(selection: api.LetterSelection, outcome: Outcome) -> api.Resolved:
    return api.Resolved(
        letters=[
            api.SelectedLetter(function=letter.function, message_id=letter.message_id)
            for letter in outcome.letters
        ],
        dry_run=selection.dry_run,
        unread=unread(outcome.unread),
    )


def unread(counts: Mapping[str, int]) -> list[api.Unread]:
    return [api.Unread(function=name, count=count) for name, count in sorted(counts.items())]
