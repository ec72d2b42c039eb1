"""The processes that run a lab's functions: worker hosts for queues, the gateway for routes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.local.emulator import LOOPBACK
from services.local.options import LabOptions
from services.local.processes import Child, inherited_environment, spawner, start_child
from services.local.provision import FunctionQueue
from services.local.start_limit import StartLimit
from services.local.state import LabFiles
from services.platform.manifest import Manifest

GATEWAY = "gateway"
WORKER = "worker"
# Execution environments of each function of the API at most; they start on demand.
API_CONCURRENCY = 4
# An idle execution environment ends after this long.
IDLE_SECONDS = 60
# A busy machine may need this long to start an execution environment; Lambda allows 10 s.
INIT_SECONDS = 60
# Waiting costs nothing, and a stop does not wait for a long poll of a lab in memory.
POLL_WAIT_SECONDS = 20
# Lambda gives one whole processor at this size:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MIB_PER_CPU = 1769


@dataclass(frozen=True)
class FunctionPlan:
    """One function of the lab: its manifest, its queue if it has one, and its environment."""

    manifest: Manifest
    queue: FunctionQueue | None
    environment: Mapping[str, str]


def worker_children(
    plans: Sequence[FunctionPlan],
    files: LabFiles,
    options: LabOptions,
    aws: Mapping[str, str],
    starts: StartLimit,
) -> Iterator[Child]:
    """`options.workers` worker processes for each function with a queue, as `starts` allows."""
    for plan in plans:
        if plan.queue is None:
            continue
        for number in range(options.workers):
            suffix = f"-{number + 1}" if options.workers > 1 else ""
            yield _worker(plan, plan.queue, suffix, files, options, aws, starts)


def _worker(
    plan: FunctionPlan,
    queue: FunctionQueue,
    suffix: str,
    files: LabFiles,
    options: LabOptions,
    aws: Mapping[str, str],
    starts: StartLimit,
) -> Child:
    name = plan.manifest.name + suffix
    environment = {
        **inherited_environment(),
        **aws,
        **plan.environment,
        "PYTHONUNBUFFERED": "1",
        "WORKER_QUEUE_URL": queue.url,
        "WORKER_DEAD_LETTER_QUEUE_URL": queue.dead_letter_url,
        "WORKER_POLL_WAIT_SECONDS": str(POLL_WAIT_SECONDS),
        "WORKER_INIT_SECONDS": str(INIT_SECONDS),
        "WORKER_CONCURRENCY": str(_concurrency(plan.manifest, options)),
    }
    command = [sys.executable, "-m", "services.worker", "--function", str(plan.manifest.folder)]
    log = files.log(name)
    spawn = spawner(command, environment, log)
    return Child(name, log, spawn, starts.spawn(spawn, log), time.monotonic())


def gateway_child(
    plans: Sequence[FunctionPlan], files: LabFiles, port: int, aws: Mapping[str, str]
) -> Child:
    """All routes on one port, each function in execution environments of its own."""
    functions = [
        {
            "folder": str(plan.manifest.folder),
            "environment": dict(plan.environment),
            "concurrency": min(API_CONCURRENCY, trigger.maximum_concurrency),
        }
        for plan in plans
        if (trigger := plan.manifest.http or plan.manifest.authorizer) is not None
    ]
    plan = {"host": LOOPBACK, "port": port, "functions": functions}
    return _child(GATEWAY, ["services.gateway"], plan, files, aws)


def _child(
    name: str,
    module: Sequence[str],
    plan: Mapping[str, Any],
    files: LabFiles,
    aws: Mapping[str, str],
) -> Child:
    path = files.plan(name)
    common = {
        "idle_seconds": IDLE_SECONDS,
    }
    _write_private(path, json.dumps({**common, **plan}, indent=1))
    files.host_status(name).unlink(missing_ok=True)
    environment = {**inherited_environment(), **aws, "PYTHONUNBUFFERED": "1"}
    environment["WORKER_INIT_SECONDS"] = str(INIT_SECONDS)
    log = files.log(name)
    command = [sys.executable, "-m", *module, str(path)]
    return start_child(name, log, spawner(command, environment, log))


def _write_private(path: Path, text: str) -> None:
    """The plan holds secrets: only its owner may read it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


def _concurrency(item: Manifest, options: LabOptions) -> int:
    """Only a function that works with its own CPU gains by more than one environment in a lab."""
    assert item.queue is not None  # noqa: S101  the caller checked
    wanted = options.concurrency if item.memory_mib >= MIB_PER_CPU else 1
    return min(wanted, item.queue.maximum_concurrency)
