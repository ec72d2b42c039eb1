"""`darkroom deploy`, `rollback`, `plan` and `delete-versions`: their options and output."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import boto3
import typer
from botocore.config import Config
from rich.markup import escape

from services.cli.options import ExitCode, Json, number
from services.cli.output import print_json
from services.deploy.difference import compare
from services.deploy.release import Outcome, Releaser, Reporter, Result, Settings
from services.deploy.scans import Severity
from services.deploy.terraform import DEFAULT_BINARY, Terraform
from services.local.state import PROJECT
from services.local.terminal import page, people
from services.operations.signals import terminated_like_interrupted
from services.platform.manifest import load_all

LAB = PROJECT / "terraform" / "lab"
WORK = PROJECT / ".darkroom" / "deploy"
DEFAULT_WEIGHT = 0.1
DEFAULT_BAKE_MINUTES = 10.0
STATE_BUCKET = "DARKROOM_STATE_BUCKET"
TERRAFORM = "DARKROOM_TERRAFORM"
# Longer lists are cut; --json has all of them.
OTHERS_SHOWN = 20
CLIENT = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard"})
Done = TypeVar("Done")


Environment = Annotated[
    str, typer.Argument(help="Of terraform/environments: development, production.")
]
StateBucket = Annotated[
    str | None,
    typer.Option(
        envvar=STATE_BUCKET,
        metavar="BUCKET",
        help="Bucket of Terraform's state, unless its .s3.tfbackend names it.",
    ),
]


Binary = Annotated[
    str,
    typer.Option(
        "--terraform",
        envvar=TERRAFORM,
        metavar="COMMAND",
        help="terraform, tofu, or a path to one of them.",
    ),
]


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command()(deploy)
    app.command()(rollback)
    app.command()(plan)
    app.command("delete-versions")(delete_versions)


def deploy(
    environment: Environment,
    weight: Annotated[
        float,
        typer.Option(
            parser=number("a share", 1),
            metavar="SHARE",
            help="Share of the calls at first, above 0 to 1.",
        ),
    ] = DEFAULT_WEIGHT,
    bake_minutes: Annotated[
        float,
        typer.Option(
            parser=number("minutes", 24 * 60, zero=True),
            metavar="MINUTES",
            help="How long alarms are watched.",
        ),
    ] = DEFAULT_BAKE_MINUTES,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would change.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Release versions that were taken back, too.")
    ] = False,
    allow_deletions: Annotated[
        bool, typer.Option("--allow-deletions", help="Apply a plan that deletes resources.")
    ] = False,
    refuse: Annotated[
        Severity,
        typer.Option("--refuse", help="The least severity of scan findings that is refused."),
    ] = Severity.HIGH,
    accept_finding: Annotated[
        list[str] | None,
        typer.Option("--accept-finding", metavar="NAME", help="A finding (CVE) that is accepted."),
    ] = None,
    state_bucket: StateBucket = None,
    terraform: Binary = DEFAULT_BINARY,
    json: Json = False,
) -> ExitCode:
    """Release new images: a share of the calls first, all if no alarm fires.

    Applies Terraform so that new versions get a share of the calls, watches their alarms, and then
    gives them all of the calls, or none. Exit code 0: released, or nothing to do; 1: taken back, or
    failed; 2: wrong usage.
    """
    settings = Settings(
        weight=weight,
        bake_seconds=bake_minutes * 60,
        again=again,
        deletions=allow_deletions,
        only_plan=plan,
        refuse=refuse,
        accepted=frozenset(accept_finding or ()),
    )
    chosen = Terraform(LAB, environment, _work(environment), state_bucket, terraform)
    return _run(chosen, lambda releaser: releaser.deploy(settings), as_json=json)


def rollback(
    environment: Environment,
    state_bucket: StateBucket = None,
    terraform: Binary = DEFAULT_BINARY,
    json: Json = False,
) -> ExitCode:
    """Go back to the versions before the last release.

    Moves every function back to the version that was live before the last release. Exit code 0:
    done; 1: failed; 2: there is nothing to go back to.
    """
    chosen = Terraform(LAB, environment, _work(environment), state_bucket, terraform)
    return _run(chosen, Releaser.rollback, as_json=json)


def plan(
    environment: Environment,
    fail_on_changes: Annotated[
        bool, typer.Option("--fail-on-changes", help="Exit with 1 if anything would change.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a comment for a pull request.")
    ] = False,
    state_bucket: StateBucket = None,
    terraform: Binary = DEFAULT_BINARY,
    json: Json = False,
) -> ExitCode:
    """Show what Terraform would change, with the images that are applied.

    For pull requests, whose images are not built yet, and for finding drift. Changes nothing. A
    release with new images is shown by `darkroom deploy --plan`. Exit code 0: shown; 1: failed, or
    changes with --fail-on-changes.
    """
    chosen = Terraform(LAB, environment, _work(environment), state_bucket, terraform)
    with people.status("planning"), terminated_like_interrupted():
        chosen.init()
        found = compare(chosen, [manifest.name for manifest in load_all(PROJECT / "images")])
    if json:
        print_json({"environment": environment, "changes": found.changes}, indent=None)
    elif markdown:
        typer.echo(found.markdown(environment))
    else:
        page.print(f"{environment}: {found.summary}")
        for address, kind in found.changes.items():
            page.print(f"  {kind} {escape(address)}", soft_wrap=True)
    return ExitCode.FAILED if fail_on_changes and found.changes else ExitCode.DONE


def delete_versions(
    environment: Environment,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the versions.")] = False,
    state_bucket: StateBucket = None,
    terraform: Binary = DEFAULT_BINARY,
    json: Json = False,
) -> ExitCode:
    """Delete versions of functions in another network than the live one.

    Lambda keeps network interfaces for published versions in the network that they were published
    with, and these hold up its deletion. A rollback cannot go back to deleted versions. Exit code
    0: done; 1: failed.
    """
    chosen = Terraform(LAB, environment, _work(environment), state_bucket, terraform)
    found = _with_releaser(chosen, lambda releaser: releaser.delete_versions(dry_run=dry_run))
    if json:
        versions = [{"function": v.function, "version": v.number} for v in found]
        document = {"environment": environment, "deleted": not dry_run, "versions": versions}
        print_json(document, indent=None)
        return ExitCode.DONE
    if not found:
        page.print("No version uses another network than the live one.")
        return ExitCode.DONE
    page.print("Would be deleted:" if dry_run else "Deleted:")
    for version in found:
        page.print(f"  {version.function}: version {version.number}", soft_wrap=True)
    if not dry_run:
        page.print("Lambda gives the network interfaces back within 20 minutes.")
    return ExitCode.DONE


def _run(terraform: Terraform, work: Callable[[Releaser], Outcome], *, as_json: bool) -> ExitCode:
    began = time.monotonic()
    outcome = _with_releaser(terraform, work)
    if as_json:
        document = {"environment": terraform.environment, **asdict(outcome)}
        document["seconds"] = round(time.monotonic() - began, 1)
        print_json(document, indent=None)
    else:
        show(outcome, terraform.environment)
    return ExitCode.FAILED if outcome.result is Result.TAKEN_BACK else ExitCode.DONE


def _with_releaser(terraform: Terraform, work: Callable[[Releaser], Done]) -> Done:
    """What `work` returns, with its progress on the terminal."""
    with people.status("reading the state") as status, terminated_like_interrupted():

        def step(text: str) -> None:
            people.print(escape(text), soft_wrap=True)
            status.update(escape(text))

        def left(seconds: float) -> None:
            status.update(f"no alarm; {seconds:.0f} s left")

        terraform.init()
        return work(Releaser(terraform, clients(terraform), Reporter(step, left)))


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
