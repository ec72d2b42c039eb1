"""The `darkroom` command.

Exit codes: 0 done; 1 the lab failed; 2 wrong usage; 3 some photos were rejected; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from services.cli.options import ExitCode
from services.local.terminal import people
from services.platform.errors import ConfigurationError, DarkroomError, PermanentError

# The commands that each module of this package adds.
MODULES = {
    "lab": ("up", "down", "reset", "status", "logs", "develop", "demo"),
    "trace": ("trace",),
    "database": ("migrate",),
    "accounts": ("login", "logout", "users", "sessions"),
    "second_factor": ("second-factor",),
    "images": ("images",),
    "recipes": ("recipes",),
    "redevelop": ("redevelop",),
    "restore_drill": ("restore-drill",),
    "backfill": ("backfill",),
    "api_keys": ("api-keys",),
    "webhooks": ("webhooks",),
    "orders": ("order", "orders", "products"),
    "dead_letters": ("dead-letters",),
    "load_test": ("load-test",),
    "cost": ("cost",),
    "tune": ("tune",),
    "deploy": ("deploy", "rollback", "plan", "delete-versions"),
}


def _version(wanted: bool) -> None:
    if wanted:
        print(f"darkroom {metadata.version('darkroom')}")
        raise typer.Exit


def application(given: Sequence[str] = ()) -> typer.Typer:
    """The application with the command that `given` names, or with all of them. Importing every
    module takes a second of CPU."""
    wanted = next((argument for argument in given if not argument.startswith("-")), "")
    owners = [module for module, commands in MODULES.items() if wanted in commands]
    app = typer.Typer(name="darkroom", rich_markup_mode="markdown", pretty_exceptions_enable=False)
    for module in owners or MODULES:
        importlib.import_module(f"services.cli.{module}").add(app)
    app.callback()(_darkroom)
    return app


def _darkroom(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A serverless photo lab."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        given = ["--help"]
    try:
        code = application(given)(given, prog_name="darkroom", standalone_mode=False)
        if code == ExitCode.INTERRUPTED:  # Typer's result for a KeyboardInterrupt
            raise KeyboardInterrupt
        sys.stdout.flush()  # a full disk or a closed pipe shows here at the latest
        return ExitCode.DONE if code is None else ExitCode(code)
    except typer.TyperException as error:
        return _refuse(error)
    except BrokenPipeError:
        _discard_output()
        return ExitCode.FAILED
    except (KeyboardInterrupt, typer.Abort):
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


def _refuse(error: typer.TyperException) -> ExitCode:
    """Prints wrong usage as one line that names the command's help."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "darkroom"
    text = " ".join(error.format_message().split()).rstrip(".")
    people.print(
        f"[red]darkroom:[/] {escape(text)}; see `{escape(command)} --help`", soft_wrap=True
    )
    return ExitCode.USAGE


def _discard_output() -> None:
    """Lets Python's last flush of stdout, which may fail again, write to the null device."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _complain(error: Exception) -> None:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    people.print(f"[red]darkroom:[/] {escape(text)}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
