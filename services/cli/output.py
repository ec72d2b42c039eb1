"""Results on stdout: JSON for machines, text and tables for people."""

from __future__ import annotations

import json
from typing import Any

from rich.console import RenderableType

from services.local.terminal import page


def print_json(document: Any, *, indent: int | None = 2) -> None:
    """Prints `document` as JSON; without `indent` on one line."""
    print(json.dumps(document, indent=indent))  # noqa: T201  what stdout is for


def print_result(document: Any, shown: RenderableType, *, as_json: bool) -> None:
    """Prints `shown` for people, or `document` as JSON."""
    if as_json:
        print_json(document)
    else:
        page.print(shown)
