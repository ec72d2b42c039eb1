"""`darkroom dead-letters`: lists, shows, replays and discards messages that failed for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding

from services.cli.log_lines import seconds
from services.cli.options import ExitCode, Json, Outputs, group, number
from services.cli.output import print_json
from services.local import lab
from services.local.terminal import page, people, shown_id
from services.monitoring import dead_letters
from services.monitoring.dead_letter_queues import DeadLetter, Filter, Queues
from services.monitoring.dead_letters import Outcome
from services.operations import deployed
from services.operations.audit import AuditTrail, default_audit_log
from services.platform.errors import PermanentError

AUDIT_VARIABLE = "DARKROOM_AUDIT_LOG"


RATE_MAX = 1000

letters = group("List, show, replay or discard messages that failed for good.")

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Message ids, or their beginnings.")
]
Function = Annotated[str | None, typer.Option(help="Only letters of this function.")]
Error = Annotated[
    str | None, typer.Option(metavar="TYPE", help="Only letters with this error type.")
]
Text = Annotated[str | None, typer.Option(help="Only letters with this text in reason or body.")]
Older = Annotated[
    str | None, typer.Option(metavar="AGE", help="Only letters older than AGE, such as 2h.")
]
Newer = Annotated[
    str | None, typer.Option(metavar="AGE", help="Only letters newer than AGE, such as 30m.")
]
All = Annotated[bool, typer.Option("--all", help="All letters that match the filters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")]
AuditLog = Annotated[
    Path | None,
    typer.Option(
        envvar=AUDIT_VARIABLE,
        metavar="FILE",
        help="Append a JSON line for each letter to FILE; darkroom/audit.jsonl in XDG_STATE_HOME "
        "by default.",
    ),
]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(letters, name="dead-letters")


EVERYTHING = Filter()


@dataclass(frozen=True)
class Selection:
    """Where the letters are, and which of them are meant."""

    outputs: Path | None
    function: str | None = None
    matching: Filter = EVERYTHING

    def queues(self) -> tuple[Any, dict[str, Queues]]:
        """An SQS client and the queues of the lab on AWS that `outputs` names, or of the embedded
        lab. Raises PermanentError for an unknown function, DarkroomError without a lab."""
        queues: Mapping[str, Queues]
        if self.outputs is not None:
            made = deployed.read(self.outputs)
            sqs, queues = made.client("sqs"), made.queues
        else:
            state = lab.required()
            sqs, queues = state.session.client("sqs"), state.queues
        if self.function is not None and self.function not in queues:
            raise PermanentError(
                f"--function must be one of {', '.join(sorted(queues))}, got {self.function!r}"
            )
        return sqs, {n: queue for n, queue in queues.items() if self.function in (None, n)}


def _selection(
    outputs: Path | None,
    function: str | None,
    error: str | None,
    text: str | None,
    older: str | None,
    newer: str | None,
) -> Selection:
    def age(option: str, given: str | None) -> timedelta | None:
        return None if given is None else timedelta(seconds=seconds(given, option))

    matching = Filter(error, text, age("--older", older), age("--newer", newer))
    return Selection(outputs, function, matching)


def _chosen(ids: list[str] | None, everything: bool) -> list[str] | None:
    """The ids, or None for all that match. Raises BadParameter for both and for neither."""
    if bool(ids) == everything:
        raise typer.BadParameter("expected either message ids or --all")
    return ids or None


def _audit(file: Path | None) -> AuditTrail:
    return AuditTrail(file or default_audit_log())


@letters.command("list")
def list_letters(
    function: Function = None,
    error: Error = None,
    text: Text = None,
    older: Older = None,
    newer: Newer = None,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """List dead letters with their reasons."""
    chosen = _selection(outputs, function, error, text, older, newer)
    listing = dead_letters.survey(*chosen.queues(), chosen.matching)
    if json:
        print_json([letter.document() for letter in listing.letters])
    elif listing.letters:
        for letter in listing.letters:
            _print(letter)
    else:
        page.print(
            "No dead letters." if chosen.matching == EVERYTHING else "No dead letters match."
        )
    _warn_unread(listing.unread)
    return ExitCode.DONE


@letters.command()
def show(
    message_id: Annotated[
        str, typer.Argument(metavar="ID", help="The message id, or its beginning.")
    ],
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Show one dead letter."""
    letter = dead_letters.find(*Selection(outputs).queues(), message_id)
    if json:
        print_json(letter.document())
    else:
        page.print_json(data=letter.document())
    return ExitCode.DONE


@letters.command()
def replay(
    ids: Ids = None,
    everything: All = False,
    rate: Annotated[
        float | None,
        typer.Option(
            parser=number("letters a second", RATE_MAX),
            metavar="N",
            help="Replay at most N letters a second.",
        ),
    ] = None,
    dry_run: DryRun = False,
    audit_log: AuditLog = None,
    function: Function = None,
    error: Error = None,
    text: Text = None,
    older: Older = None,
    newer: Newer = None,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Send dead letters back to their own queues."""
    wanted = _chosen(ids, everything)
    chosen = _selection(outputs, function, error, text, older, newer)
    outcome = dead_letters.replay(
        *chosen.queues(),
        wanted,
        lambda letter: people.print(f"replayed {letter.message_id} ({letter.function})"),
        matching=chosen.matching,
        per_second=rate,
        dry_run=dry_run,
        audit=_audit(audit_log),
    )
    _print_outcome(outcome, "would replay" if dry_run else "replayed", dry_run, as_json=json)
    return ExitCode.FAILED if everything and outcome.unread else ExitCode.DONE


@letters.command()
def discard(
    ids: Ids = None,
    everything: All = False,
    dry_run: DryRun = False,
    audit_log: AuditLog = None,
    function: Function = None,
    error: Error = None,
    text: Text = None,
    older: Older = None,
    newer: Newer = None,
    outputs: Outputs = None,
    json: Json = False,
) -> ExitCode:
    """Delete dead letters."""
    wanted = _chosen(ids, everything)
    chosen = _selection(outputs, function, error, text, older, newer)
    outcome = dead_letters.discard(
        *chosen.queues(),
        wanted,
        lambda letter: people.print(f"discarded {letter.message_id} ({letter.function})"),
        matching=chosen.matching,
        dry_run=dry_run,
        audit=_audit(audit_log),
    )
    _print_outcome(outcome, "would discard" if dry_run else "discarded", dry_run, as_json=json)
    return ExitCode.FAILED if everything and outcome.unread else ExitCode.DONE


def _print(letter: DeadLetter) -> None:
    attempts = "" if letter.attempts is None else f", attempt {letter.attempts}"
    replays = f", replayed {letter.replays} times" if letter.replays else ""
    page.print(
        f"[bold]{shown_id(letter.message_id)}[/]  {letter.function}  "
        f"{(letter.failed_at or letter.sent_at)[:19].replace('T', ' ')}  "
        f"[yellow]{escape(letter.error_type)}[/]{attempts}{replays}"
    )
    page.print(Padding(escape(letter.reason), (0, 0, 0, 10)))


def _print_outcome(outcome: Outcome, done: str, dry_run: bool, *, as_json: bool) -> None:
    if as_json:
        print_json([letter.document() for letter in outcome.letters])
    else:
        if dry_run:
            for letter in outcome.letters:
                _print(letter)
        page.print(f"{done}: {len(outcome.letters)} dead letters")
    _warn_unread(outcome.unread)


def _warn_unread(unread: Mapping[str, int]) -> None:
    for function, count in unread.items():
        people.print(
            f"{function}: {count} more dead letters were not read; another reader hides them for "
            "up to a minute, or reading took too long"
        )
