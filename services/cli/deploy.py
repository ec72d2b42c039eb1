"""`darkroom deploy` and `darkroom rollback`: their options and output."""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from rich.markup import escape

from services.deploy.release import Outcome, Releaser, Reporter, Result, Settings
from services.deploy.terraform import Terraform
from services.local.state import PROJECT
from services.local.terminal import page, people
from services.operations.signals import terminated_like_interrupted

LAB = PROJECT / "terraform" / "lab"
WORK = PROJECT / ".darkroom" / "deploy"
DEFAULT_WEIGHT = 0.1
DEFAULT_BAKE_MINUTES = 10.0
STATE_BUCKET = "DARKROOM_STATE_BUCKET"
# Longer lists are cut; --json has all of them.
OTHERS_SHOWN = 20
CLIENT = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard"})


def add(commands: Any, finished: Callable[[bool], Any]) -> None:
    """Adds the subcommands. `finished` makes the exit code, of whether it came out as asked."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("environment", help="of terraform/environments: development, production")
    common.add_argument(
        "--state-bucket",
        default=os.environ.get(STATE_BUCKET),
        metavar="BUCKET",
        help=f"bucket of Terraform's state, unless its .s3.tfbackend names it (or {STATE_BUCKET})",
    )
    common.add_argument("--json", action="store_true", help="print one JSON object")

    deploy = commands.add_parser(
        "deploy",
        parents=[common],
        help="release new images: a share of the calls first, all if no alarm fires",
        description="Applies Terraform so that new versions get a share of the calls, watches "
        "their alarms, and then gives them all of the calls, or none. Exit code 0: released, or "
        "nothing to do; 1: taken back, or failed; 2: wrong usage.",
    )
    deploy.add_argument(
        "--weight", type=_share, default=DEFAULT_WEIGHT, metavar="SHARE",
        help=f"share of the calls at first, above 0 to 1 (default: {DEFAULT_WEIGHT:g})",
    )  # fmt: skip
    deploy.add_argument(
        "--bake-minutes", type=_minutes, default=DEFAULT_BAKE_MINUTES, metavar="MINUTES",
        help=f"how long alarms are watched (default: {DEFAULT_BAKE_MINUTES:g})",
    )  # fmt: skip
    deploy.add_argument("--plan", action="store_true", help="only show what would change")
    deploy.add_argument(
        "--again", action="store_true", help="release versions that were taken back, too"
    )
    deploy.add_argument(
        "--allow-deletions", action="store_true", help="apply a plan that deletes resources"
    )
    deploy.set_defaults(run=lambda options: finished(_deploy(options)))

    rollback = commands.add_parser(
        "rollback",
        parents=[common],
        help="go back to the versions before the last release",
        description="Moves every function back to the version that was live before the last "
        "release. Exit code 0: done; 1: failed; 2: there is nothing to go back to.",
    )
    rollback.set_defaults(run=lambda options: finished(_rollback(options)))


def _deploy(options: argparse.Namespace) -> bool:
    settings = Settings(
        weight=options.weight,
        bake_seconds=options.bake_minutes * 60,
        again=options.again,
        deletions=options.allow_deletions,
        only_plan=options.plan,
    )
    return _run(options, lambda releaser: releaser.deploy(settings))


def _rollback(options: argparse.Namespace) -> bool:
    return _run(options, Releaser.rollback)


def _run(options: argparse.Namespace, work: Callable[[Releaser], Outcome]) -> bool:
    began = time.monotonic()
    terraform = Terraform(
        LAB, options.environment, _work(options.environment), options.state_bucket
    )
    with people.status("reading the state") as status, terminated_like_interrupted():

        def step(text: str) -> None:
            people.print(escape(text), soft_wrap=True)
            status.update(escape(text))

        def left(seconds: float) -> None:
            status.update(f"no alarm; {seconds:.0f} s left")

        terraform.init()
        outcome = work(Releaser(terraform, clients(terraform), Reporter(step, left)))
    if options.json:
        document = {"environment": options.environment, **asdict(outcome)}
        print(json.dumps({**document, "seconds": round(time.monotonic() - began, 1)}))  # noqa: T201
    else:
        show(outcome, options.environment)
    return outcome.result is not Result.TAKEN_BACK


def _work(environment: str) -> Path:
    return WORK / Path(environment).name


def clients(terraform: Terraform) -> Callable[[str], Any]:
    """Makes clients of AWS's services in the region that the lab's outputs name."""

    @functools.cache
    def client(service: str) -> Any:
        region = terraform.outputs().get("region")
        return boto3.session.Session(region_name=region).client(service, config=CLIENT)

    return client


def show(outcome: Outcome, environment: str) -> None:
    """Prints the outcome."""
    said = {
        Result.NOTHING: "Nothing to do: what is there is live.",
        Result.PLANNED: f"A release of {environment} would change:",
        Result.RELEASED: f"[green]Released[/] to {environment}.",
        Result.ROLLED_BACK: f"Back at the versions before, in {environment}.",
        Result.TAKEN_BACK: "[red]Taken back:[/] what was live before is live.",
    }
    page.print(said[outcome.result])
    for moved in outcome.moved:
        after = moved.after or "a new version"
        before = f"version {moved.before}" if moved.before else "none"
        page.print(f"  {moved.function}: {before} → {after}", soft_wrap=True)
    for worker in outcome.workers:
        page.print(f"  {worker}: a new task (worker)")
    for address in outcome.others[:OTHERS_SHOWN]:
        page.print(f"  {escape(address)}", soft_wrap=True)
    if (more := len(outcome.others) - OTHERS_SHOWN) > 0:
        page.print(f"  and {more} more")
    if outcome.reason:
        page.print(escape(outcome.reason), soft_wrap=True)
    if outcome.held:
        held = ", ".join(f"{name} at {version}" for name, version in sorted(outcome.held.items()))
        page.print(f"Held until their next image, or --again: {held}.", soft_wrap=True)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 to 1, got {text!r}")
    return value


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 24 * 60:
        raise argparse.ArgumentTypeError(f"expected minutes, 0 to a day, got {text!r}")
    return value
