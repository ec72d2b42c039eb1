"""What an embedded lab costs: seconds to start, processes, memory, CPU. See README.md.

python -m benchmarks.lab.run [--repeats N] [--idle-seconds S] [--only VARIANT] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.lab import environments
from services.local import lab as labs
from services.local.state import PROJECT, LabFiles

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
VARIANTS = {"everything": "", "photos": "photos"}
# The lab's parts go on importing for a moment after it is ready.
SETTLE_SECONDS = 10.0
POSTGRES = "postgres"

# What `darkroom up` does, the command's imports included, with the lab in a folder of its own.
_UP = """
import sys
from pathlib import Path
from services.cli import main
from services.local import lab
from services.local.options import LabOptions, default_concurrency
from services.platform.manifest import Feature
features = (Feature(sys.argv[2]),) if sys.argv[2] else tuple(Feature)
lab.up(Path(sys.argv[1]), LabOptions(concurrency=default_concurrency(), features=features))
"""


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """User and system time of the processes and of those of their children that have ended."""
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pss_mib(processes: Iterable[psutil.Process]) -> float:
    """Proportional set size: a page shared by n processes counts as 1/n in each."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def measure(feature: str, idle_seconds: float) -> dict[str, float]:
    """Starts a lab of `feature` (everything if empty), leaves it idle, and ends it."""
    with tempfile.TemporaryDirectory(prefix="darkroom-lab-") as folder:
        root = Path(folder)
        before, began = children_cpu_seconds(), time.monotonic()
        subprocess.run([sys.executable, "-c", _UP, folder, feature], cwd=PROJECT, check=True)
        ready_seconds = time.monotonic() - began
        try:
            state = LabFiles(root).read()
            assert state is not None
            supervisor = psutil.Process(state.pid)
            time.sleep(SETTLE_SECONDS)
            tree = [supervisor, *supervisor.children(recursive=True)]
            start_cpu = children_cpu_seconds() - before + cpu_seconds(tree)
            used, began = cpu_seconds(tree), time.monotonic()
            time.sleep(idle_seconds)
            tree = [supervisor, *supervisor.children(recursive=True)]
            idle = (cpu_seconds(tree) - used) / (time.monotonic() - began)
            ours = [process for process in tree if process.name() != POSTGRES]
            servers = [process for process in tree if process.name() == POSTGRES]
            return {
                "ready_seconds": ready_seconds,
                "start_cpu_seconds": start_cpu,
                "processes": len(ours),
                "postgres_processes": len(servers),
                "pss_mib": pss_mib(ours),
                "postgres_pss_mib": pss_mib(servers),
                "idle_cpu_percent": 100 * idle,
            }
        finally:
            labs.down(root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--idle-seconds", type=float, default=60.0, metavar="S")
    parser.add_argument("--only", choices=VARIANTS, help="measure one variant")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args()
    rounds: dict[str, list[dict[str, float]]] = {}
    starts: list[dict[str, float]] = []
    for number in range(options.repeats):
        starts.append(environments.measure())
        for name, feature in VARIANTS.items():
            if options.only in (None, name):
                found = measure(feature, options.idle_seconds)
                rounds.setdefault(name, []).append(found)
                shown = ", ".join(f"{key} {value:.1f}" for key, value in found.items())
                print(f"{number + 1}/{options.repeats} {name}: {shown}", file=sys.stderr)
    results: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "date": time.strftime("%Y-%m-%d"),
            "load": round(os.getloadavg()[2], 1),
        },
        "idle_seconds": options.idle_seconds,
        "rounds": rounds,
        "environments": starts,
    }
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
