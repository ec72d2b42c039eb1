"""Fuzzes targets one after the other: `python -m tests.fuzz.run [--seconds 60] [TARGET...]`.

The corpus grows in .darkroom/fuzz/TARGET from run to run. A failing input lies in
.darkroom/fuzz/found/TARGET-...; put it into tests/data/found with a mend. Exits with 1 if any
target failed.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import FOUND, TARGETS, seeds
from tests.support.waiting import scaled

FOLDER = Path(".darkroom/fuzz")
# One input may take this long on a quiet machine, and this much memory.
INPUT_SECONDS_MAX, MEMORY_MIB_MAX, INPUT_BYTES_MAX = 10, 2_048, 65_536


def fuzz(target: str, seconds: int) -> bool:
    """Fuzzes a target; returns whether no input failed."""
    corpus, found = FOLDER / target, FOLDER / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    for name, data in seeds(target).items():
        if len(data) <= INPUT_BYTES_MAX:
            (corpus / name).write_bytes(data)
    for path in FOUND.glob(f"{target}-*"):
        (corpus / path.name).write_bytes(path.read_bytes())
    ended = subprocess.run(
        [
            sys.executable, "-m", "tests.fuzz.target", target,
            f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}",
            f"-timeout={math.ceil(scaled(INPUT_SECONDS_MAX))}", f"-rss_limit_mb={MEMORY_MIB_MAX}",
            f"-artifact_prefix={found}/{target}-", "-print_final_stats=1", str(corpus),
        ],
        check=False,
    )  # fmt: skip
    return ended.returncode == 0


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="time for each target")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    arguments = parser.parse_args()
    failed = [name for name in arguments.targets if not fuzz(name, arguments.seconds)]
    sys.stderr.write(f"Fuzzed {len(arguments.targets)} targets; failed: {failed or 'none'}.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
