"""Exit codes, and options that several commands share."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer

from services.operations import deployed
from services.platform.errors import PermanentError


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    SOME_REJECTED = 3
    INTERRUPTED = 130


Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe", metavar="NAME", help="A recipe other than the lab's; see `darkroom recipes`."
    ),
]
Outputs = Annotated[
    Path | None,
    typer.Option(
        envvar=deployed.VARIABLE,
        metavar="FILE",
        help="For a lab on AWS: the output of `terraform output -json`. The embedded lab by "
        "default.",
    ),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]


def group(help_text: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=help_text)


def whole_number(minimum: int, maximum: float = math.inf) -> Callable[[str | int], int]:
    """A parser of whole numbers from `minimum` to `maximum`."""
    bounds = f"of at least {minimum}" if maximum == math.inf else f"{minimum}..{maximum}"

    def parse(value: str | int) -> int:
        text = str(value)
        if text.isascii() and text.isdigit() and minimum <= int(text) <= maximum:
            return int(text)
        raise typer.BadParameter(f"expected a whole number {bounds}, got {text!r}")

    return parse


PORT = whole_number(1, 65_535)


def number(what: str, maximum: float, *, zero: bool = False) -> Callable[[str | float], float]:
    """A parser of numbers above 0 (or from 0 with `zero`) to `maximum`. `what` names the unit."""

    def parse(value: str | float) -> float:
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if (found >= 0 if zero else found > 0) and found <= maximum:
            return found
        least = "from 0" if zero else "above 0 and"
        raise typer.BadParameter(f"expected {what}, {least} up to {maximum:g}, got {str(value)!r}")

    return parse


def writable_folder(folder: Path) -> None:
    """Creates the folder if needed. Raises PermanentError when no file can be written there."""
    if folder.exists() and not folder.is_dir():
        raise PermanentError(f"{folder} is not a folder; choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermanentError(f"cannot write to {folder}: {error.strerror}") from error


def whole_id(text: str, ids: list[str], what: str) -> str:
    """The id that `text` is, or the only one that begins with it.

    Raises PermanentError when none or several do; `what` names the thing, such as "image".
    """
    found = [known for known in ids if text and known.startswith(text)]
    if text in found or len(found) == 1:
        return text if text in found else found[0]
    if found:
        raise PermanentError(
            f"{what} {text!r} is ambiguous: expected the beginning of one id, "
            f"{len(found)} ids begin so; give more of it"
        )
    raise PermanentError(f"{what} {text!r} not found: expected an id, or its beginning")
