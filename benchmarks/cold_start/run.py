"""Cold starts of every function's image, and of the same functions written the usual way.

    make images && .venv/bin/python benchmarks/cold_start/run.py [--starts N] [--json FILE]

Each start is a new container with the CPU quota that Lambda gives the memory size
(memory / 1769 MiB of a processor), under the Runtime Interface Emulator. Three times are taken:

- init: what the emulator reports of the Init phase (its INIT REPORT line), from the start of the
  runtime to its first request for work;
- answer: from `docker start` to the first answer, the engine's and the emulator's own work in
  it;

- cpu: the processor time of the container until then; other work on the machine disturbs it least.

All are shown less those of an empty function on the same base, which pays for what is not ours. The
variants take turns, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

from docker import DockerClient, from_env
from services.build.engine import docker, require_engine
from services.build.images import build_secrets
from services.local.emulator import LOOPBACK, aws_environment
from services.local.state import PROJECT
from services.platform import manifest

HERE = Path(__file__).resolve().parent
USUAL = "darkroom-benchmark/usual-way"
MEMORY_MIB = (512, 1024, 1769, 3008)
MIB_PER_CPU = 1769
PORT = 8080
INVOKE = "/2015-03-31/functions/function/invocations"
INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)")
LABEL = "darkroom.cold-start"
EMPTY = "empty"
GIVE_UP_SECONDS = 60.0
TREE_MS = 4.0  # what takes less is not shown
TREE_DEPTH = 4
PACKAGES_SHOWN = 12
IMPORT_TRIES = 5


@dataclass(frozen=True)
class Variant:
    """One image and handler to start."""

    name: str
    image: str
    handler: str


@dataclass(frozen=True)
class Start:
    """One cold start; milliseconds."""

    init: float
    answer: float
    cpu: float


def variants() -> list[Variant]:
    names = [m.name for m in manifest.load_all(PROJECT / "images")]
    ours = [Variant(name, f"darkroom/{name}:latest", "handler.handler") for name in names]
    usual = [
        Variant(f"{name}, the usual way", USUAL, f"{name.replace('-', '_')}.handler")
        for name in names
        if (HERE / "usual_way" / f"{name.replace('-', '_')}.py").is_file()
    ]
    return [Variant(EMPTY, USUAL, "empty.handler"), *ours, *usual]


def environment() -> list[str]:
    """A value for every variable of every function: enough to start, not to work."""
    names = {name for m in manifest.load_all(PROJECT / "images") for name in m.environment}
    values = aws_environment(f"http://{LOOPBACK}:1") | dict.fromkeys(names, "placeholder")
    return [part for name, value in values.items() for part in ("--env", f"{name}={value}")]


def start(engine: DockerClient, variant: Variant, memory_mib: int) -> Start:
    """Starts a new container and waits for its first answer."""
    container = docker(
        "create", "--label", LABEL, "--publish", f"{LOOPBACK}::{PORT}", "--no-healthcheck",
        "--cpus", f"{memory_mib / MIB_PER_CPU:.3f}", "--memory", f"{memory_mib + 64}m",
        "--env", f"AWS_LAMBDA_FUNCTION_MEMORY_SIZE={memory_mib}", *environment(),
        variant.image, variant.handler,
    )  # fmt: skip
    try:
        began = time.perf_counter()
        docker("start", container)
        address = docker("port", container, f"{PORT}/tcp").splitlines()[0]
        answer = first_answer(address)
        answer_ms = (time.perf_counter() - began) * 1000
        stats = engine.api.stats(container, stream=False, one_shot=True)
        cpu_ms = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e6
        log = subprocess.run(
            ["docker", "logs", container], capture_output=True, text=True, check=True
        )
        found = INIT.search(log.stdout + log.stderr)
        if answer != b'{"warm": true}' or found is None:
            sys.exit(f"{variant.name} answered {answer!r}:\n{log.stdout}{log.stderr}")
        return Start(float(found[1]), answer_ms, cpu_ms)
    finally:
        docker("rm", "--force", container)


def first_answer(address: str) -> bytes:
    """The first answer to a warmer; the emulator starts the function for it."""
    give_up_at = time.perf_counter() + GIVE_UP_SECONDS
    request = urllib.request.Request(f"http://{address}{INVOKE}", b'{"warmer": true}')
    while True:
        try:
            with urllib.request.urlopen(request, timeout=GIVE_UP_SECONDS) as response:  # noqa: S310
                return bytes(response.read())
        except HTTPError as error:
            return error.read()
        except OSError:
            if time.perf_counter() > give_up_at:
                raise
            time.sleep(0.005)


def build_usual_way() -> None:
    print(f"building {USUAL}", file=sys.stderr)
    docker("buildx", "build", "--load", "--tag", USUAL, *build_secrets(), str(HERE / "usual_way"))


def table(
    starts: dict[tuple[str, int], list[Start]], names: Sequence[str], what: str
) -> Iterator[str]:
    """A Markdown table of medians and bests, less the empty function's."""
    yield f"| {what}, ms: median (best) | " + " | ".join(f"{m} MB" for m in MEMORY_MIB) + " |"
    yield "|---|" + "---:|" * len(MEMORY_MIB)
    for name in names:
        cells = []
        for memory in MEMORY_MIB:
            middle, best = figures(starts[name, memory], what)
            if name == EMPTY:
                cells.append(f"{middle:.0f} ({best:.0f})")
                continue
            own_middle, own_best = figures(starts[EMPTY, memory], what)
            cells.append(f"{middle - own_middle:.0f} ({best - own_best:.0f})")
        label = "*the base itself, an empty function*" if name == EMPTY else name
        yield f"| {label} | " + " | ".join(cells) + " |"


def figures(starts: Sequence[Start], what: str) -> tuple[float, float]:
    values = [getattr(one, what) for one in starts]
    return statistics.median(values), min(values)


@dataclass(frozen=True)
class Import:
    """One imported module; milliseconds with what it imported in its turn, and by itself."""

    name: str
    depth: int
    whole: float
    own: float


def imports(variant: Variant) -> list[Import]:
    """What importing the handler costs on one processor, as Python tells it: what is imported comes
    before what imports it. The quickest of several tries."""
    return min((_imports(variant) for _ in range(IMPORT_TRIES)), key=lambda found: found[-1].whole)


def _imports(variant: Variant) -> list[Import]:
    done = subprocess.run(
        ["docker", "run", "--rm", "--label", LABEL, "--cpus", "1", *environment(),
         "--env", "PYTHONPATH=/var/task:/var/runtime", "--workdir", "/var/task",
         "--entrypoint", "python", variant.image,
         "-X", "importtime", "-c", f"import {variant.handler.partition('.')[0]}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = []
    for line in done.stderr.splitlines():
        parts = re.fullmatch(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)", line)
        if parts:
            own, whole, indent, name = parts.groups()
            found.append(Import(name, len(indent) // 2, int(whole) / 1000, int(own) / 1000))
    return found


def import_tree(found: Sequence[Import]) -> Iterator[str]:
    """The imports as people read them, from the top; what is quick or deep is left out."""
    for item in reversed(found):
        if item.whole >= TREE_MS and item.depth <= TREE_DEPTH:
            yield f"{item.whole:8.1f} {item.own:7.1f}  {'  ' * item.depth}{item.name}"


def by_package(found: Sequence[Import]) -> Iterator[str]:
    """What each package's modules take by themselves, whichever module imported them first."""
    packages: Counter[str] = Counter()
    for item in found:
        packages[item.name.partition(".")[0]] += item.own
    for name, own in packages.most_common(PACKAGES_SHOWN):
        yield f"{own:8.1f}  {name}"
    yield f"{sum(packages.values()):8.1f}  in all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--starts", type=int, default=7, help="of each variant and size; 0: imports only"
    )
    parser.add_argument("--json", type=Path, help="write every start to this file")
    options = parser.parse_args()
    require_engine()
    engine = from_env()
    build_usual_way()
    wanted = variants()
    starts: dict[tuple[str, int], list[Start]] = {}
    for number in range(options.starts):
        print(f"round {number + 1} of {options.starts}", file=sys.stderr)
        for memory in MEMORY_MIB:
            for variant in wanted:
                starts.setdefault((variant.name, memory), []).append(start(engine, variant, memory))
    names = [variant.name for variant in wanted]
    if starts:
        for what in ("init", "answer", "cpu"):
            print("\n".join(table(starts, names, what)) + "\n")
    trees = {v.name: imports(v) for v in wanted if v.name != EMPTY}
    slowest = max(
        (v.name for v in wanted if v.image != USUAL), key=lambda name: trees[name][-1].whole
    )
    print(f"Imports of {slowest} (ms in all, ms by itself):\n")
    print("\n".join(import_tree(trees[slowest])) + "\n")
    for name in (slowest, f"{slowest}, the usual way"):
        print(f"{name}, by package (ms):\n")
        print("\n".join(by_package(trees[name])) + "\n")
    if options.json is not None:
        document = [
            {
                "name": name,
                "memory_mib": memory,
                "init_ms": s.init,
                "answer_ms": s.answer,
                "cpu_ms": s.cpu,
            }
            for (name, memory), found in starts.items()
            for s in found
        ]
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
