"""The processes that run a lab's functions: worker hosts for queues, the gateway for routes."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.local.emulator import LOOPBACK
from services.local.options import LabOptions
from services.local.processes import Child, inherited_environment, spawner, start_child
from services.local.provision import FunctionQueue, Lab, make_events_queue
from services.local.state import PROJECT, LabFiles, LabState
from services.platform import tracing
from services.platform.manifest import Manifest
from services.runtime.forked import forkable

GATEWAY = "gateway"
WORKER = "worker"
TEMPLATE = "template"
# Execution environments of each function of the API at most; they start on demand.
API_CONCURRENCY = 4
# Enough for the functions of an order side by side: a start costs more than an idle environment.
ENVIRONMENTS = 12
# An idle execution environment ends after this long.
IDLE_SECONDS = 60
# A busy machine may need this long to start an execution environment; Lambda allows 10 s.
INIT_SECONDS = 60
# Waiting costs nothing, and a lab in memory stops without waiting for its long polls.
POLL_WAIT_SECONDS = 20
KEPT_POLL_WAIT_SECONDS = 4
PROVIDER_URL = "PAYMENTS_URL"
MAIL_SENDER, MAIL_API_URL = "MAIL_SENDER", "MAIL_API_URL"
WEBHOOKS_TABLE, WEBHOOK_LOOPBACK = "WEBHOOKS_TABLE", "WEBHOOK_LOOPBACK"
# The web page, built by `make web`.
SITE = PROJECT / "services" / "web" / "dist"


@dataclass(frozen=True)
class FunctionPlan:
    """One function of the lab: its manifest, its queue if it has one, and its environment."""

    manifest: Manifest
    queue: FunctionQueue | None
    environment: Mapping[str, str]


def function_plan(item: Manifest, lab: Lab, provider_url: str, api: str) -> FunctionPlan:
    """The plan of a function in a lab whose payment provider and API have these addresses."""
    environment = lab.environment(item)
    if PROVIDER_URL in environment:
        environment[PROVIDER_URL] = provider_url
    if MAIL_SENDER in environment and api:
        environment[MAIL_API_URL] = api
    if WEBHOOKS_TABLE in environment:
        # Receivers of a lab run on the same machine.
        environment[WEBHOOK_LOOPBACK] = "true"
    return FunctionPlan(item, lab.queues.get(item.name), environment)


def worker_children(
    plans: Sequence[FunctionPlan],
    files: LabFiles,
    options: LabOptions,
    aws: Mapping[str, str],
    metrics_ports: Mapping[str, int],
    templates: Mapping[str, socket.socket],
) -> list[Child]:
    """A host for each of `metrics_ports`, by name, that polls the queues of all functions."""
    functions = [
        {
            "folder": str(plan.manifest.folder),
            "environment": {**plan.environment, **_share(plan.manifest, options)},
            "queue_url": plan.queue.url,
            "dead_letter_queue_url": plan.queue.dead_letter_url,
            "concurrency": _concurrency(plan.manifest, options),
        }
        for plan in plans
        if plan.queue is not None
    ]
    return [
        _child(
            name,
            ["services.worker", "--host"],
            {
                "environments": ENVIRONMENTS,
                "poll_wait_seconds": (
                    KEPT_POLL_WAIT_SECONDS if options.keep else POLL_WAIT_SECONDS
                ),
                "metrics_port": port,
                "functions": functions,
            },
            files,
            aws,
            templates.get(name),
        )
        for name, port in metrics_ports.items()
    ]


def worker_names(options: LabOptions) -> list[str]:
    """The names of the lab's worker hosts."""
    return [f"{WORKER}-{n + 1}" if options.workers > 1 else WORKER for n in range(options.workers)]


def trace_receiver_child(files: LabFiles, port: int) -> tuple[Child, dict[str, str]]:
    """What keeps the functions' traces, and the variables by which they find it."""
    name = "traces"
    command = [sys.executable, "-m", "services.local.trace_receiver", str(files.traces), str(port)]
    log = files.log(name)
    child = start_child(name, log, spawner(command, inherited_environment(), log))
    return child, {tracing.ENDPOINT: f"http://{LOOPBACK}:{port}"}


def gateway_child(
    plans: Sequence[FunctionPlan],
    files: LabFiles,
    port: int,
    aws: Mapping[str, str],
    state: LabState,
    lab: Lab,
    template: socket.socket | None,
) -> Child:
    """All routes and the web page on one port, each function in execution environments of its own.

    The page exchanges photos with the emulator. Creates the queue of the event stream.
    """
    functions = [
        {
            "folder": str(plan.manifest.folder),
            "environment": dict(plan.environment),
            "concurrency": min(API_CONCURRENCY, trigger.maximum_concurrency),
        }
        for plan in plans
        if (trigger := plan.manifest.http or plan.manifest.authorizer) is not None
    ]
    plan = {
        "host": LOOPBACK,
        "port": port,
        "functions": functions,
        "site": str(SITE),
        "site_origins": [state.endpoint],
        "events": {"queue_url": make_events_queue(state.session, lab)},
    }
    return _child(GATEWAY, ["services.gateway"], plan, files, aws, template)


def template_child(
    plans: Sequence[FunctionPlan], files: LabFiles, aws: Mapping[str, str], hosts: Sequence[str]
) -> tuple[Child, dict[str, socket.socket]]:
    """The process from which execution environments are forked, and a socket to it for each of
    `hosts`, by name."""
    pairs = {name: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for name in hosts}
    own = [its for _, its in pairs.values()]
    command = [sys.executable, "-m", "services.runtime.template"]
    command += [argument for one in own for argument in ("--socket", str(one.fileno()))]
    command += [str(one.manifest.folder) for one in plans if forkable(one.environment)]
    environment = _environment(aws)
    log = files.log(TEMPLATE)
    child = start_child(TEMPLATE, log, spawner(command, environment, log, own))
    return child, {name: of_host for name, (of_host, _) in pairs.items()}


def _child(
    name: str,
    module: Sequence[str],
    plan: Mapping[str, Any],
    files: LabFiles,
    aws: Mapping[str, str],
    template: socket.socket | None,
) -> Child:
    path = files.plan(name)
    common = {
        "idle_seconds": IDLE_SECONDS,
        "init_seconds": INIT_SECONDS,
        "status_file": str(files.host_status(name)),
    }
    _write_private(path, json.dumps({**common, **plan}, indent=1))
    files.host_status(name).unlink(missing_ok=True)
    environment = _environment(aws)
    if template is not None:
        environment["WORKER_TEMPLATE_FD"] = str(template.fileno())
    sockets = [template] if template is not None else []
    log = files.log(name)
    command = [sys.executable, "-m", *module, str(path)]
    return start_child(name, log, spawner(command, environment, log, sockets))


def _environment(aws: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a process that runs functions."""
    return {**inherited_environment(), **aws, "PYTHONUNBUFFERED": "1"}


def _write_private(path: Path, text: str) -> None:
    """The plan holds secrets: only its owner may read it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


def _share(item: Manifest, options: LabOptions) -> dict[str, str]:
    """What a fair function must know about the environments of all workers together."""
    if item.queue is None or not item.queue.fair:
        return {}
    environments = _concurrency(item, options) * options.workers
    return {"OWNER_ENVIRONMENTS": f"{item.queue.owner_environments(environments):g}"}


def _concurrency(item: Manifest, options: LabOptions) -> int:
    """Only a function that works with its own CPU gains by more than one environment in a lab."""
    assert item.queue is not None  # noqa: S101  the caller checked
    wanted = options.concurrency if item.cpus >= 1 else 1
    return min(wanted, item.queue.maximum_concurrency)
