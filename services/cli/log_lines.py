"""One line of a lab's logs, for people or machines."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from rich.text import Text

from services.local.logs import LogLine
from services.local.terminal import page
from services.platform.errors import PermanentError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLOURS = {"error": "red", "critical": "red", "warning": "yellow", "debug": "dim"}
# Shown in front of the line, or of no use to a reader.
_HIDDEN = frozenset({"timestamp", "time", "level", "event", "message", "function", "logger"})
_NAME_WIDTH = 24


def seconds(age: str, option: str = "--since") -> float:
    """`90s`, `10m`, `2h` or `1d` in seconds. Raises PermanentError, which names the option, for
    another text."""
    found = re.fullmatch(r"(\d+)([smhd])", age)
    if found is None:
        raise PermanentError(
            f"{option} must be a number and s, m, h or d, such as 10m, got {age!r}"
        )
    return float(int(found[1]) * _UNITS[found[2]])


def show(line: LogLine, *, as_json: bool) -> None:
    """Prints one line. Lines that only carry metrics are for machines."""
    if as_json:
        page.out(json.dumps(line.document()), highlight=False)
        return
    if line.fields is not None and "_aws" in line.fields:
        return
    clock = time.strftime("%H:%M:%S", time.localtime(line.at))
    text = Text(f"{clock} ", style="dim")
    text.append(f"{line.function:{_NAME_WIDTH}} ", style="cyan")
    if line.fields is None:
        text.append(line.text)
    else:
        level = str(line.fields.get("level", ""))
        event = line.fields.get("event") or line.fields.get("message") or ""
        text.append(str(event), style=_COLOURS.get(level, "bold"))
        for name, value in line.fields.items():
            if name not in _HIDDEN:
                text.append(f" {name}=", style="dim")
                text.append(_value(value))
    page.print(text, soft_wrap=True)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
