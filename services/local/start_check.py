"""Starts every function of a lab once, to find those that cannot start.

    python -m services.local.start_check PLAN.json ...

Workers and gateway start a function when its first event arrives, so a function without events may
be broken unseen. Each plan is that of a worker host or of the gateway. The last line on stdout is a
JSON object: the reason by function, of those that cannot start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.gateway import configuration as gateways
from services.local.emulator import aws_environment
from services.local.processes import inherited_environment
from services.local.state import LabFiles, LabState
from services.platform.errors import TransientError
from services.runtime.execution import Environment, InitError
from services.runtime.function import Function
from services.worker import configuration as workers

# All functions together, on a machine that does nothing else. Each has its own limit too.
CHECK_SECONDS = 120.0


def check_starts(state: LabState, files: LabFiles) -> dict[str, str]:
    """The reason by function, of the functions of this lab that cannot start. Raises TransientError
    when the check itself fails."""
    plans = [path for path in sorted(files.root.glob("*.json")) if _is_plan(path)]
    environment = {**inherited_environment(), **aws_environment(state.endpoint, state.credentials)}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "services.local.start_check", *map(str, plans)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise TransientError(f"the functions did not start within {CHECK_SECONDS:g} s") from None
    except subprocess.CalledProcessError as error:
        raise TransientError(f"the start check failed: {error.stderr.strip()[-500:]}") from None
    found: dict[str, str] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _is_plan(path: Path) -> bool:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and isinstance(document.get("functions"), list)


def _functions(path: Path, environ: Mapping[str, str]) -> Iterator[Function]:
    if "host" in json.loads(path.read_text(encoding="utf-8")):
        yield from (served.function for served in gateways.gateway(path, environ).functions)
    else:
        yield from (planned.function for planned in workers.from_file(path, environ).functions)


def _reason(function: Function) -> str | None:
    """Why the function cannot start; None if it can."""
    environment = Environment(function)
    try:
        environment.start()
    except InitError as error:
        return str(error)
    finally:
        environment.close()
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    paths = sys.argv[1:] if arguments is None else arguments
    # Several workers host the same functions.
    functions = {f.name: f for path in paths for f in _functions(Path(path), os.environ)}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        reasons = dict(zip(functions, pool.map(_reason, functions.values()), strict=True))
    failed = {name: reason for name, reason in reasons.items() if reason is not None}
    sys.stdout.write(json.dumps(failed) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
