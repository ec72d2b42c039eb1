"""What tracing costs a cold start, on and off.

    .venv/bin/python benchmarks/cold_start/tracing.py [--tries N] [--function NAME]

Each try is a new process that imports the function's handler as Lambda does, in turn without and
with OTEL_EXPORTER_OTLP_ENDPOINT. Processor time is what other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from services.build.openapi import placeholder_environment
from services.local.state import PROJECT
from services.platform import manifest
from services.platform.tracing import ENDPOINT

SCRIPT = "import time; import handler; print(time.process_time() * 1000)"


def start(item: manifest.Manifest, variables: dict[str, str]) -> float:
    """CPU of a process until its handler is ready, in ms."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != ENDPOINT},
        **placeholder_environment(item),
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PYTHONPATH": f"{item.folder}{os.pathsep}{PROJECT}",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=15)
    parser.add_argument("--function", default="process-image")
    options = parser.parse_args()
    item = manifest.load(PROJECT / "images" / options.function)
    on = {ENDPOINT: "http://127.0.0.1:4318"}
    figures: dict[str, list[float]] = {"off": [], "on": []}
    for _ in range(options.tries):
        figures["off"].append(start(item, {}))
        figures["on"].append(start(item, on))
    for name, values in figures.items():
        print(f"{name:4} median {statistics.median(values):6.1f} ms, best {min(values):6.1f} ms")


if __name__ == "__main__":
    main()
