"""Builds and pushes the function images: `python -m services.build build|push`.

Both commands take function names and features, and work on all functions without any.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from services.build.engine import BASE, host_platform, warn
from services.build.images import REPOSITORY, ROOT, Built, build
from services.build.push import DIGESTS_FILE, Pushed, push
from services.platform.errors import DarkroomError
from services.platform.manifest import parse_features


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0: all done; 1: a build or push failed, or a budget is broken; 2: usage."""
    parser = argparse.ArgumentParser(prog="images", description="Build and push function images.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("functions", nargs="*", metavar="FUNCTION", help="all when none is named")
    common.add_argument(
        "--features",
        metavar="LIST",
        help="functions of these features and of what they need: photos, customers, orders",
    )
    common.add_argument("--json", action="store_true", help="JSON on stdout instead of a table")
    builds = commands.add_parser("build", parents=[common])
    builds.add_argument("--base", default=BASE, help=f"base image, by tag or digest ({BASE})")
    builds.add_argument("--platform", default=host_platform(), help="linux/amd64 or linux/arm64")
    builds.add_argument("--force", action="store_true", help="build what has not changed, too")
    builds.add_argument(
        "--refresh", action="store_true", help="pin the base image that its tag names today"
    )
    pushes = commands.add_parser("push", parents=[common])
    pushes.add_argument("--registry", required=True, help="host, and path if any, to push to")
    pushes.add_argument("--allow-dirty", action="store_true", help="push uncommitted changes")
    pushes.add_argument("--username", help="log in with this name (ECR needs none)")
    pushes.add_argument("--password-stdin", action="store_true", help="the password, on stdin")
    options = parser.parse_args(arguments)

    results: Sequence[Built | Pushed]
    try:
        features = parse_features(options.features) if options.features is not None else ()
        if options.command == "build":
            results, failed = build(
                options.functions,
                features=features,
                base=options.base,
                wanted=options.platform,
                force=options.force,
                refresh=options.refresh,
            )
        else:
            if not options.registry:
                parser.error("expected a registry to push to: make push REGISTRY=host[/path]")
            if bool(options.username) != options.password_stdin:
                parser.error("expected --username and --password-stdin together")
            results, failed = push(
                options.functions,
                features=features,
                registry=options.registry.rstrip("/"),
                allow_dirty=options.allow_dirty,
                username=options.username,
                password=sys.stdin.read().strip() if options.password_stdin else None,
            )
    except DarkroomError as error:
        results, failed = [], [str(error)]
    if options.json:
        sys.stdout.write(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    elif results:
        Console().print(table(results))
    for message in failed:
        warn(message)
    return 1 if failed else 0


def table(results: Sequence[Built | Pushed]) -> Table:
    """The images as text for the terminal."""
    if isinstance(results[0], Pushed):
        columns = ["function", "pushed", "seconds"]
        caption = f"digests are in {DIGESTS_FILE.relative_to(ROOT)}"
    else:
        caption = (
            f"each is {REPOSITORY}/<function>:{results[0].image.rpartition(':')[2]}, and :latest"
        )
        columns = ["function", "over base", "budget", "id", "seconds"]
    shown = Table(caption=caption)
    for i, column in enumerate(columns):
        shown.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for result in results:
        if isinstance(result, Pushed):
            shown.add_row(result.function, result.reference, f"{result.seconds:.1f}")
            continue
        shown.add_row(
            result.function,
            f"{result.mib_over_base:.1f} MiB",
            f"{result.budget_mib} MiB",
            result.id.removeprefix("sha256:")[:12],
            f"{result.seconds:.1f}" if result.built else "unchanged",
            style=None if result.within_budget else "red",
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
