"""`darkroom load-test`: its options, and one run from beginning to end."""

from __future__ import annotations

import argparse
import errno
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

from services.load_test import report, summary
from services.load_test.containers import ContainerTarget
from services.load_test.embedded import EmbeddedTarget
from services.load_test.figures import figures
from services.load_test.photos import album_of, sample_album
from services.load_test.plan import Plan
from services.load_test.runner import Run, Runner, Sample
from services.load_test.target import Target
from services.local.state import PROJECT
from services.local.terminal import page, people
from services.operations.signals import terminated_like_interrupted
from services.platform.errors import TransientError

FOLDER = PROJECT / ".darkroom" / "load"
DEFAULT_COUNT = 200
DEFAULT_RATE = 2.0
DEFAULT_WORKERS = 2
COUNT_MAX = 100_000
RATE_MAX = 1_000.0
WORKERS_MAX = 64


def add(commands: Any, finished: Callable[[bool], Any]) -> None:
    """Adds the subcommand. `finished` makes the exit code, from whether the run reconciles."""
    parser = commands.add_parser(
        "load-test",
        help="put photos through a lab at a given rate, and account for every one",
        description="Uploads photos at a given rate, without waiting for results; then waits until "
        "every photo is accounted for, and writes a report. Exit code 0: nothing lost, nothing "
        "doubled; 1: otherwise, or the lab failed; 2: wrong usage.",
    )
    parser.add_argument(
        "--embedded", action="store_true", help="on an embedded lab, without Docker"
    )
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="yours instead of samples")
    parser.add_argument(
        "--count", type=_whole(COUNT_MAX), default=DEFAULT_COUNT,
        help=f"photos to upload (default: {DEFAULT_COUNT})",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=_rate, default=DEFAULT_RATE,
        help=f"photos a second (default: {DEFAULT_RATE:g})",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=_whole(WORKERS_MAX), default=DEFAULT_WORKERS,
        help=f"workers that develop (default: {DEFAULT_WORKERS})",
    )  # fmt: skip
    parser.add_argument("--faults", action="store_true", help="kill a worker every few seconds")
    parser.add_argument(
        "--port",
        type=_whole(65_535),
        help="the emulator's port on loopback (default: a free one)",
    )
    parser.set_defaults(run=lambda options: finished(run(options)))


def run(options: argparse.Namespace) -> bool:
    """One load test; whether nothing was lost or doubled. Raises DarkroomError."""
    now = datetime.now().astimezone()
    run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"  # others may run at the same time
    plan = Plan(
        run_id=run_id,
        count=options.count,
        rate=options.rate,
        workers=options.workers,
        faults=options.faults,
        photos=options.photos,
        folder=FOLDER / run_id,
    )
    try:
        with terminated_like_interrupted():
            done = _perform(plan, options)
            shown = figures(done)
            summary.show(done, shown, page)
            written = report.write(done, shown, plan.folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise TransientError(
                f"the disk is full: remove what is old in {FOLDER}, or `docker system df`"
            ) from error
        raise TransientError(f"the load test cannot go on: {error}") from error
    finally:
        # A run that was ended early has left nothing to read, unless its lab did.
        with suppress(OSError):
            plan.folder.rmdir()
    page.print(f"\nThe report: [bold]{escape(str(_shown(written)))}[/]")
    return done.reconciliation.balanced


def _perform(plan: Plan, options: argparse.Namespace) -> Run:
    with people.status("making sample photos") as status:

        def show(text: str) -> None:
            status.update(text)

        if plan.photos is not None:
            album = album_of(plan.photos, plan.run_id)
        else:
            FOLDER.mkdir(parents=True, exist_ok=True)
            album = sample_album(FOLDER / "samples", plan.run_id)
        plan.folder.mkdir(parents=True)
        show("starting the lab")
        opened: AbstractContextManager[Target] = (
            EmbeddedTarget.opened(plan, options.port)
            if options.embedded
            else ContainerTarget.opened(plan, options.port, show)
        )
        began = time.monotonic()

        def progress(sample: Sample, kills: int) -> None:
            left = sum(depth.total for depth in sample.depths.values())
            show(
                f"{time.monotonic() - began:.0f} s: {sample.uploaded} of {plan.count} uploaded, "
                f"{sample.settled} settled, {left} messages in the queues"
                + (f", {kills} workers killed" if plan.faults else "")
            )

        with opened as target:
            show("the first photos")
            return Runner(plan, target, album, progress).run()


def _whole(maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"expected a whole number 1..{maximum}, got {text!r}")
        return int(text)

    return parse


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= RATE_MAX:
        raise argparse.ArgumentTypeError(
            f"expected photos a second, above 0 and up to {RATE_MAX:g}, got {text!r}"
        )
    return value


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
