"""`darkroom dead-letters`: lists, shows, replays and discards messages that failed for good."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.padding import Padding

from services.cli.logs import seconds
from services.local import lab
from services.local.terminal import page, people
from services.operations import dead_letters, deployed
from services.operations.audit import AuditTrail
from services.operations.dead_letter_queues import DeadLetter, Filter, Queues
from services.operations.dead_letters import Outcome
from services.platform.errors import DarkroomError, PermanentError

AUDIT_VARIABLE = "DARKROOM_AUDIT_LOG"


def add(commands: Any, finished: Callable[[bool], Any]) -> None:
    """Adds the command; `finished` makes the exit code of a success or a failure."""
    letters = commands.add_parser("dead-letters", help="look into, replay or discard what failed")
    actions = letters.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list dead letters with their reasons")
    listing.set_defaults(run=lambda options: finished(_list(options)))
    showing = actions.add_parser("show", help="show one dead letter")
    showing.add_argument("id", help="the message id, or its beginning")
    showing.set_defaults(run=lambda options: finished(_show(options)), function=None)
    replaying = actions.add_parser("replay", help="send dead letters back to their own queues")
    replaying.set_defaults(run=lambda options: finished(_replay(options)))
    replaying.add_argument(
        "--rate", type=_rate, metavar="N", help="replay at most N letters a second"
    )
    discarding = actions.add_parser("discard", help="delete dead letters")
    discarding.set_defaults(run=lambda options: finished(_discard(options)))
    for parser in (replaying, discarding):
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("ids", nargs="*", default=[], metavar="ID", help="message ids")
        chosen.add_argument("--all", action="store_true", help="all that match the filters")
        parser.add_argument("--dry-run", action="store_true", help="only show what would happen")
        parser.add_argument(
            "--audit-log",
            type=Path,
            default=os.environ.get(AUDIT_VARIABLE) or _default_audit_log(),
            metavar="FILE",
            help=f"append a JSON line for each letter to FILE (default: {AUDIT_VARIABLE}, or "
            "darkroom/audit.jsonl in XDG_STATE_HOME)",
        )
    for parser in (listing, replaying, discarding):
        _add_filters(parser)
    for parser in (listing, showing, replaying, discarding):
        parser.add_argument("--json", action="store_true", help="print JSON on stdout")
        parser.add_argument(
            "--outputs",
            type=Path,
            default=os.environ.get(deployed.VARIABLE),
            metavar="FILE",
            help="of a lab on AWS: the output of `terraform output -json` "
            f"(default: {deployed.VARIABLE}, or the embedded lab)",
        )


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--function", help="only letters of this function")
    parser.add_argument("--error", metavar="TYPE", help="only letters with this error type")
    parser.add_argument("--text", help="only letters with this text in the reason or the body")
    parser.add_argument("--older", metavar="AGE", help="only letters older than AGE, such as 2h")
    parser.add_argument("--newer", metavar="AGE", help="only letters newer than AGE, such as 30m")


def _filter(options: argparse.Namespace) -> Filter:
    def age(option: str) -> timedelta | None:
        text = getattr(options, option)
        return None if text is None else timedelta(seconds=seconds(text, f"--{option}"))

    return Filter(options.error, options.text, age("older"), age("newer"))


def _queues(options: argparse.Namespace) -> tuple[Any, dict[str, Queues]]:
    """An SQS client and the queues of the lab on AWS that `--outputs` names, or of the embedded
    lab. Raises PermanentError for an unknown function, DarkroomError without a lab."""
    queues: Mapping[str, Queues]
    if options.outputs is not None:
        made = deployed.read(Path(options.outputs))
        sqs, queues = made.client("sqs"), made.queues
    else:
        state = lab.running()
        if state is None:
            raise DarkroomError("no lab is running; start one with `darkroom up`")
        sqs, queues = state.session.client("sqs"), state.queues
    if options.function is not None and options.function not in queues:
        raise PermanentError(
            f"--function must be one of {', '.join(sorted(queues))}, got {options.function!r}"
        )
    return sqs, {n: queue for n, queue in queues.items() if options.function in (None, n)}


def _list(options: argparse.Namespace) -> bool:
    matching = _filter(options)
    listing = dead_letters.survey(*_queues(options), matching)
    if options.json:
        page.out(
            json.dumps([letter.document() for letter in listing.letters], indent=2), highlight=False
        )
    elif listing.letters:
        for letter in listing.letters:
            _print(letter)
    else:
        page.print("No dead letters." if matching == Filter() else "No dead letters match.")
    _warn_unread(listing.unread)
    return True


def _print(letter: DeadLetter) -> None:
    attempts = "" if letter.attempts is None else f", attempt {letter.attempts}"
    replays = f", replayed {letter.replays} times" if letter.replays else ""
    page.print(
        f"[bold]{letter.message_id[:8]}[/]  {letter.function}  "
        f"{(letter.failed_at or letter.sent_at)[:19].replace('T', ' ')}  "
        f"[yellow]{escape(letter.error_type)}[/]{attempts}{replays}"
    )
    page.print(Padding(escape(letter.reason), (0, 0, 0, 10)))


def _show(options: argparse.Namespace) -> bool:
    letter = dead_letters.find(*_queues(options), options.id)
    text = json.dumps(letter.document(), indent=2)
    if options.json:
        page.out(text, highlight=False)
    else:
        page.print_json(text)
    return True


def _replay(options: argparse.Namespace) -> bool:
    outcome = dead_letters.replay(
        *_queues(options),
        None if options.all else options.ids,
        lambda letter: people.print(f"replayed {letter.message_id} ({letter.function})"),
        matching=_filter(options),
        per_second=options.rate,
        dry_run=options.dry_run,
        audit=AuditTrail(Path(options.audit_log)),
    )
    return _finish(options, outcome, "would replay" if options.dry_run else "replayed")


def _discard(options: argparse.Namespace) -> bool:
    outcome = dead_letters.discard(
        *_queues(options),
        None if options.all else options.ids,
        lambda letter: people.print(f"discarded {letter.message_id} ({letter.function})"),
        matching=_filter(options),
        dry_run=options.dry_run,
        audit=AuditTrail(Path(options.audit_log)),
    )
    return _finish(options, outcome, "would discard" if options.dry_run else "discarded")


def _finish(options: argparse.Namespace, outcome: Outcome, done: str) -> bool:
    """Prints the outcome. False if `--all` did not reach every letter."""
    if options.json:
        page.out(
            json.dumps([letter.document() for letter in outcome.letters], indent=2), highlight=False
        )
    else:
        if options.dry_run:
            for letter in outcome.letters:
                _print(letter)
        page.print(f"{done}: {len(outcome.letters)} dead letters")
    _warn_unread(outcome.unread)
    return not (options.all and outcome.unread)


def _warn_unread(unread: Mapping[str, int]) -> None:
    for function, count in unread.items():
        people.print(
            f"{function}: {count} more dead letters were not read; another reader hides them for "
            "up to a minute, or reading took too long"
        )


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1000, got {text!r}")
    return rate


def _default_audit_log() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "darkroom" / "audit.jsonl"
