"""Measures photos a second at 1, 2, 4 and 8 execution environments, and how long invocations of
`process-image` take. Nothing else should run on the machine.

python -m benchmarks.scaling.run
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from services.load_test import worker_log

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RESULTS = HERE / "results.json"
FUNCTION = "process-image"
ENVIRONMENTS = (1, 2, 4, 8)
PHOTOS = 80
TIMEOUT_SECONDS = 900


def load_test(workers: int) -> Path:
    """Runs the load test on a backlog: all photos are uploaded at once. The run's folder."""
    folder = ROOT / ".darkroom" / "load"
    before = set(folder.glob("*"))
    command = ["darkroom", "load-test", "--embedded", "--count", str(PHOTOS), "--rate", "1000"]
    command = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
    subprocess.run(
        [*command, "--workers", str(workers)],
        cwd=ROOT, check=True, timeout=TIMEOUT_SECONDS, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (made,) = set(folder.glob("*")) - before
    return made


def invocations(folder: Path) -> list[worker_log.Invocation]:
    """The invocations of `FUNCTION`, without those that only warmed it up."""
    logs = [(file.stem, file.read_text("utf-8")) for file in folder.glob("lab/logs/worker*.log")]
    found = worker_log.read(logs).invocations
    return [i for i in found if i.function == FUNCTION]


def main() -> None:
    throughput: dict[str, float] = {}
    warm_ms: list[float] = []
    init_ms: list[float] = []
    for workers in ENVIRONMENTS:
        print(f"{PHOTOS} photos on {workers} environments ...", flush=True)
        found = invocations(load_test(workers))
        photos = [i for i in found if i.init_ms is None]
        # From the first start to the last end: initialisation does not count.
        seconds = max(i.at for i in photos) - min(i.at - i.duration_ms / 1000 for i in photos)
        throughput[str(workers)] = round(len(photos) / seconds, 2)
        init_ms += [round(i.init_ms, 1) for i in found if i.init_ms is not None]
        if workers == 1:
            # One environment has a core for itself, as on Lambda at 1769 MB.
            warm_ms = [round(i.duration_ms, 1) for i in photos]
    results: dict[str, Any] = {
        "machine": {
            "date": date.today().isoformat(),  # noqa: DTZ011  the day where it ran
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
        },
        "photos": PHOTOS,
        "photos_per_second": throughput,
        "warm_ms": warm_ms,
        "init_ms": init_ms,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
