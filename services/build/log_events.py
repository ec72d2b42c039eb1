"""The log events of functions, workers and gateways, found in the sources."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

_LEVELS = frozenset({"debug", "info", "warning", "error", "exception"})
# These run on a person's machine and print for people.
_TOOLS = frozenset({"build", "cli", "client", "deploy", "load_test", "local", "operations"})


def log_events(root: Path) -> Mapping[str, tuple[str, ...]]:
    """The events that code below `root`/services logs by a literal name, in order, each with the
    modules that log it."""
    found: dict[str, set[str]] = {}
    for path in sorted((root / "services").rglob("*.py")):
        package, *rest = path.relative_to(root / "services").with_suffix("").parts
        if package in _TOOLS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _LEVELS
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                found.setdefault(node.args[0].value, set()).add(".".join((package, *rest)))
    return {event: tuple(sorted(modules)) for event, modules in sorted(found.items())}
