"""The `darkroom` command.

Exit codes: 0 done; 1 the lab failed; 2 wrong usage; 3 some photos were rejected; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from importlib import metadata
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from services.cli import customer, database, dead_letters, deploy, load_test, orders
from services.cli import logs as logs_view
from services.cli import status as status_view
from services.local import develop, lab, logs, status
from services.local.demo import run as demo
from services.local.options import LabOptions, default_concurrency
from services.local.state import DEFAULT_ROOT, LabFiles
from services.local.terminal import (
    develop_with_progress,
    page,
    people,
    show_outcomes,
)
from services.platform.errors import ConfigurationError, DarkroomError, PermanentError
from services.platform.manifest import Feature
from services.schema import migrate_database

WATCH_SECONDS = 2


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    SOME_REJECTED = 3
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code."""
    parser = _parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help()
        return ExitCode.DONE
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], ExitCode] = options.run
    try:
        code = run(options)
        sys.stdout.flush()  # a full disk or a closed pipe shows here at the latest
        return code
    except BrokenPipeError:
        _discard_output()
        return ExitCode.FAILED
    except KeyboardInterrupt:
        people.print("interrupted")
        return ExitCode.INTERRUPTED
    except ConfigurationError as error:
        _complain(error)
        return ExitCode.FAILED
    except PermanentError as error:
        _complain(error)
        return ExitCode.USAGE
    except (DarkroomError, BotoCoreError, ClientError, OSError) as error:
        _complain(error)
        if isinstance(error, OSError):
            _discard_output()
        return ExitCode.FAILED


def _discard_output() -> None:
    """Lets Python's last flush of stdout, which may fail again, write to the null device."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="darkroom", description="A serverless photo lab.")
    parser.add_argument(
        "--version", action="version", version=f"darkroom {metadata.version('darkroom')}"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start an embedded lab: emulator, mailbox and workers")
    up.add_argument("--port", type=_port, help="port of the emulator (default: a free one)")
    up.add_argument("--api-port", type=_port, help="port of the HTTP API (default: a free one)")
    up.add_argument(
        "--workers", type=_positive, default=1, help="worker processes a function (default: 1)"
    )
    up.add_argument(
        "--concurrency",
        type=_positive,
        help="execution environments a worker process (default: one a core)",
    )
    up.add_argument(
        "--only",
        choices=[feature.value for feature in Feature],
        help="start this feature and what it needs, nothing else (default: everything)",
    )
    up.add_argument(
        "--keep", action="store_true", help="keep photos, orders and e-mails when the lab ends"
    )
    up.add_argument(
        "--cloud", metavar="URL", help="use the emulator that runs at URL instead of an own one"
    )
    up.add_argument(
        "--site",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of ORIGIN use the API, such as http://localhost:5173; repeatable",
    )
    up.set_defaults(run=_up)

    down = commands.add_parser("down", help="stop the embedded lab")
    down.set_defaults(run=_down)

    reset = commands.add_parser("reset", help="stop the lab and remove all that it kept")
    reset.set_defaults(run=_reset)

    show_logs = commands.add_parser("logs", help="show the lab's logs, merged by time")
    show_logs.add_argument("function", nargs="?", help="only this function or process")
    show_logs.add_argument("--follow", "-f", action="store_true", help="go on with new lines")
    show_logs.add_argument(
        "--since", metavar="AGE", default="", help="only the last AGE, such as 90s, 10m or 2h"
    )
    show_logs.add_argument("--json", action="store_true", help="print one JSON object a line")
    show_logs.set_defaults(run=_logs)

    status = commands.add_parser("status", help="addresses, functions, queues, and what is wrong")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    status.add_argument("--watch", action="store_true", help="show it anew every two seconds")
    status.set_defaults(run=_status)

    develop = commands.add_parser(
        "develop",
        help="put photos through the lab",
        description="Uploads photos to the running lab, or starts one for the occasion. "
        "Exit code 0: all developed; 3: some were rejected; 1: the lab failed; 2: wrong usage.",
    )
    develop.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or folder")
    develop.add_argument("--out", type=Path, metavar="DIR", help="download the renditions to DIR")
    develop.add_argument("--json", action="store_true", help="print one JSON array on stdout")
    develop.add_argument(
        "--keep-location", action="store_true", help="keep GPS positions in the catalogue"
    )
    develop.set_defaults(run=_develop)

    show = commands.add_parser(
        "demo", help="develop sample photos (or a folder of yours) and show everything"
    )
    show.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    show.set_defaults(run=_demo)

    migrate = commands.add_parser("migrate", help="bring the database's schema up to date")
    migrate.add_argument("--status", action="store_true", help="only tell where it is")
    migrate.add_argument("--json", action="store_true", help="print one JSON object")
    migrate.set_defaults(run=_migrate)

    for part in (customer, orders):
        part.add(commands, lambda well: ExitCode.DONE if well else ExitCode.SOME_REJECTED)
    for tool in (dead_letters, load_test, deploy):
        tool.add(commands, lambda well: ExitCode.DONE if well else ExitCode.FAILED)
    return parser


# -- the lab


def _up(options: argparse.Namespace) -> ExitCode:
    with people.status("starting the lab"):
        state = lab.up(
            options=LabOptions(
                port=options.port,
                api_port=options.api_port,
                workers=options.workers,
                concurrency=options.concurrency or default_concurrency(),
                features=(Feature(options.only),) if options.only else tuple(Feature),
                keep=options.keep,
                cloud=options.cloud,
                sites=tuple(options.site),
            )
        )
    page.print(f"The lab is ready at [bold]{state.endpoint}[/] (an AWS endpoint).")
    if state.api:
        page.print(
            f"Its API answers at [bold]{state.api}[/]; {state.api}/openapi.json describes it."
        )
    page.print("Develop photos with `darkroom develop PATH`; stop it with `darkroom down`.")
    return ExitCode.DONE


def _down(_options: argparse.Namespace) -> ExitCode:
    with people.status("stopping the lab"):
        stopped = lab.down()
    page.print("The lab is stopped." if stopped else "No lab was running.")
    return ExitCode.DONE


def _reset(_options: argparse.Namespace) -> ExitCode:
    with people.status("removing the lab's data"):
        removed = lab.reset()
    page.print("The lab is empty." if removed else "There was no lab.")
    return ExitCode.DONE


def _logs(options: argparse.Namespace) -> ExitCode:
    files = LabFiles(DEFAULT_ROOT)
    since = time.time() - logs_view.seconds(options.since) if options.since else 0.0
    for line in logs.read(files, since=since, function=options.function):
        logs_view.show(line, as_json=options.json)
    if options.follow:
        for line in logs.follow(files, function=options.function):
            logs_view.show(line, as_json=options.json)
    return ExitCode.DONE


def _status(options: argparse.Namespace) -> ExitCode:
    if not options.watch:
        return _show_status(options)
    while True:
        page.clear()
        _show_status(options)
        time.sleep(WATCH_SECONDS)


def _show_status(options: argparse.Namespace) -> ExitCode:
    state = lab.running()
    if state is None:
        last = LabFiles(DEFAULT_ROOT).read()
        message = f" The last one ended: {last.message}" if last and last.message else ""
        if options.json:
            print(json.dumps({"status": last.status.value if last else "stopped"}))
        else:
            page.print(f"No lab is running; start one with `darkroom up`.{escape(message)}")
        return ExitCode.FAILED
    found = status.report(state, LabFiles(DEFAULT_ROOT))
    if options.json:
        print(json.dumps(found.document(), indent=2))
    else:
        page.print(status_view.render(found))
    return ExitCode.FAILED if found.problems else ExitCode.DONE


# -- photos


def _develop(options: argparse.Namespace) -> ExitCode:
    photos = develop.find_photos(options.paths)
    with (
        people.status("starting a lab for the occasion") as status,
        lab.temporary_lab() as (state),
    ):
        status.stop()
        outcomes = develop_with_progress(state, photos, keep_location=options.keep_location)
        if options.out is not None:
            for outcome in outcomes:
                if outcome.record is not None:
                    develop.download(state, outcome.record, options.out)
    if options.json:
        print(json.dumps([outcome.document() for outcome in outcomes], indent=2))
    else:
        show_outcomes(outcomes)
    return ExitCode.DONE if all(o.developed for o in outcomes) else ExitCode.SOME_REJECTED


def _demo(options: argparse.Namespace) -> ExitCode:
    return ExitCode(demo.run(options.folder))


# -- the database


def _migrate(options: argparse.Namespace) -> ExitCode:
    reached = database.database()
    applied = [] if options.status else migrate_database.migrate(reached)
    status = migrate_database.status(reached)
    if options.json:
        print(json.dumps({"applied": applied} | dataclasses.asdict(status)))
    elif status.pending:
        page.print(f"at revision {status.revision}, to be applied: {', '.join(status.pending)}")
    else:
        done = f"applied {', '.join(applied)}; " if applied else ""
        page.print(f"{done}the schema is up to date (revision {status.revision})")
    return ExitCode.DONE


def _complain(error: Exception) -> None:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    people.print(f"[red]darkroom:[/] {escape(text)}", soft_wrap=True)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port 1..65535, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
