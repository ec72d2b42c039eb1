"""What a function printed."""

from __future__ import annotations

import json
from typing import Any


def events(output: str) -> list[dict[str, Any]]:
    """The log events in the output of a function, without its metrics."""
    lines = [json.loads(line) for line in output.splitlines()]
    return [line for line in lines if "_aws" not in line]
