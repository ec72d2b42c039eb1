"""The process that runs a lab: emulator, Postgres, mailbox, a worker for each function, gateway.

    python -m services.local.supervisor ROOT [--port N] [--api-port N] [--workers N]
        [--concurrency N]

It provisions the emulator, brings Postgres's schema up to date, starts a worker for every function
with a queue and a gateway for those with a route, restarts what dies,
and ends everything on SIGTERM. The command returns at once and the supervisor goes on in the
background, for as long as it holds ROOT/lock; what it knows stands in ROOT/state.json.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from services.local import emulator, payment_sandbox, postgres, topology
from services.local.aws_session import LocalSession
from services.local.provision import Database, Lab, Payments, provision
from services.local.state import PROJECT, ChildState, LabFiles, LabState, LabStatus
from services.operations import products
from services.platform import manifest
from services.platform.errors import DarkroomError, TransientError
from services.platform.manifest import Manifest, Reference, Resource
from services.schema.migrate_database import migrate

POLL_SECONDS = 0.1
# A process that dies again and again is restarted ever more slowly.
FIRST_RESTART_SECONDS = 0.1
LAST_RESTART_SECONDS = 10.0
STABLE_SECONDS = 10.0
# Longer than a worker's own drain.
WORKER_STOP_SECONDS = 30.0
# A worker lets its last long poll end before it stops; on loopback a short one costs nothing.
POLL_WAIT_SECONDS = 2
EMULATOR_LOG = "emulator"
POSTGRES_LOG = "postgres"
GATEWAY = "gateway"
GATEWAY_START_SECONDS = 30.0
# Execution environments of each API function at most; they start on demand.
API_CONCURRENCY = 4
DATABASE_SECRET = "database"  # noqa: S105  its name in the topology
WEBHOOK_FUNCTION = "receive-payment"
PROVIDER_URL = "PAYMENTS_URL"
# Lambda gives one whole processor at this size:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MIB_PER_CPU = 1769


@dataclass
class _Child:
    """A supervised process."""

    name: str
    log: Path
    spawn: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]
    started: float
    restarts: int = 0
    quick_deaths: int = 0
    restart_at: float | None = None

    def state(self) -> ChildState:
        return ChildState(self.name, self.process.pid, self.restarts, str(self.log))


@dataclass
class Supervisor:
    """Runs one lab until it is told to stop."""

    files: LabFiles
    port: int
    api_port: int
    workers: int
    concurrency: int
    stopping: bool = False
    children: list[_Child] = field(default_factory=list)

    def run(self) -> int:
        """Runs the lab; the exit code: 0 stopped on request, 1 failed."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        state = LabState(LabStatus.STARTING, os.getpid(), started_at=_now())
        self.files.write(state)
        cloud = server = None
        try:
            smtp_port = emulator.free_port()
            self._start_mailbox(smtp_port)
            cloud = emulator.start(
                self.port, self.files.log(EMULATOR_LOG), smtp_port, die_with_parent
            )
            server = postgres.start(
                self.files.postgres,
                emulator.free_port(),
                log_file=self.files.log(POSTGRES_LOG),
                # As the emulator: a lab begins empty.
                fresh=True,
            )
            manifests = manifest.load_all(PROJECT / "images")
            payments = Payments(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
            lab = provision(
                LocalSession(cloud.endpoint),
                topology.load(PROJECT / "terraform" / "lab" / "topology.yaml"),
                manifests,
                database=Database(server.url, server.username, server.password),
                payments=payments,
            )
            state = dataclasses.replace(
                state,
                status=LabStatus.READY,
                endpoint=cloud.endpoint,
                mail_folder=str(self.files.mail),
                buckets={r.name: v for r, v in lab.values.items() if r.resource == "bucket"},
                tables={r.name: v for r, v in lab.values.items() if r.resource == "table"},
                queues=dict(lab.queues),
                workflows={r.name: v for r, v in lab.values.items() if r.resource == "workflow"},
                api=f"http://{emulator.LOOPBACK}:{self.api_port}",
                database_url=server.url,
                database_secret_arn=lab.values[Reference(Resource.SECRET, DATABASE_SECRET)],
            )
            reached = state.database()
            migrate(reached)
            products.offer(reached, PROJECT / "terraform" / "lab" / "products.yaml")
            reached.close()
            provider_url = self._start_payment_provider(payments, state.api, manifests)
            environments = {
                item.name: _environment_of(item, lab, provider_url) for item in manifests
            }
            self._start_workers(manifests, lab, cloud, environments)
            self._start_gateway(manifests, cloud, environments)
            self._await_gateway(state.api)
            message = self._watch(state, cloud, server)
        except DarkroomError as error:
            message = str(error)
        self.files.write(dataclasses.replace(state, status=LabStatus.STOPPING))
        self._stop_children()
        if server is not None:
            postgres.stop(server)
        if cloud is not None:
            emulator.stop(cloud)
        ended = LabStatus.FAILED if message else LabStatus.STOPPED
        self.files.write(LabState(ended, os.getpid(), message=message, started_at=state.started_at))
        return 1 if message else 0

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _start_workers(
        self,
        manifests: tuple[Manifest, ...],
        lab: Lab,
        cloud: emulator.Emulator,
        environments: Mapping[str, Mapping[str, str]],
    ) -> None:
        for item in manifests:
            if item.queue is None:
                continue
            queue = lab.queues[item.name]
            environment = {
                **_inherited(),
                **cloud.environment,
                **environments[item.name],
                "PYTHONUNBUFFERED": "1",
                "WORKER_QUEUE_URL": queue.url,
                "WORKER_DEAD_LETTER_QUEUE_URL": queue.dead_letter_url,
                "WORKER_POLL_WAIT_SECONDS": str(POLL_WAIT_SECONDS),
                "WORKER_CONCURRENCY": str(
                    min(self._concurrency(item), item.queue.maximum_concurrency)
                ),
            }
            for number in range(1, self.workers + 1):
                self._start(
                    item.name if self.workers == 1 else f"{item.name}-{number}",
                    [sys.executable, "-m", "services.worker", "--function", str(item.folder)],
                    environment,
                )

    def _concurrency(self, item: Manifest) -> int:
        """Only what works with its own CPU gains by more than one environment in a lab."""
        return self.concurrency if item.memory_mib >= MIB_PER_CPU else 1

    def _start_payment_provider(
        self, payments: Payments, api: str, manifests: tuple[Manifest, ...]
    ) -> str:
        """The sandbox provider, with a book that begins empty; its URL."""
        port = emulator.free_port()
        self.files.payments.unlink(missing_ok=True)
        command = [sys.executable, "-m", "services.local.payment_sandbox", "--port", str(port)]
        command += ["--ledger", str(self.files.payments)]
        webhook = next((m.http for m in manifests if m.name == WEBHOOK_FUNCTION), None)
        if webhook is not None:
            command += ["--webhook-url", api + webhook.path]
        self._start(
            "payment-provider",
            command,
            {
                **_inherited(),
                payment_sandbox.API_KEY: payments.api_key,
                payment_sandbox.WEBHOOK_SECRET: payments.webhook_secret,
            },
        )
        return f"http://{emulator.LOOPBACK}:{port}"

    def _start_gateway(
        self,
        manifests: tuple[Manifest, ...],
        cloud: emulator.Emulator,
        environments: Mapping[str, Mapping[str, str]],
    ) -> None:
        """All routes on one port, each function in execution environments of its own."""
        functions = [
            {
                "folder": str(item.folder),
                "environment": environments[item.name],
                "concurrency": min(API_CONCURRENCY, trigger.maximum_concurrency),
            }
            for item in manifests
            if (trigger := item.http or item.authorizer) is not None
        ]
        plan = {"host": emulator.LOOPBACK, "port": self.api_port, "functions": functions}
        self.files.gateway.write_text(json.dumps(plan, indent=1), encoding="utf-8")
        self._start(
            GATEWAY,
            [sys.executable, "-m", "services.gateway", str(self.files.gateway)],
            {**_inherited(), **cloud.environment, "PYTHONUNBUFFERED": "1"},
        )

    def _await_gateway(self, api: str) -> None:
        give_up_at = time.monotonic() + GATEWAY_START_SECONDS
        while not _answers(f"{api}/_darkroom/health"):
            if self.stopping or time.monotonic() > give_up_at:
                raise TransientError(
                    f"the API did not answer at {api} within {GATEWAY_START_SECONDS:g} s; see "
                    f"{self.files.log(GATEWAY)}"
                )
            time.sleep(POLL_SECONDS)

    def _start_mailbox(self, port: int) -> None:
        # E-mails of a lab before would be told as sent by this one.
        shutil.rmtree(self.files.mail, ignore_errors=True)
        self._start(
            "mailbox",
            [sys.executable, "-m", "services.local.mailbox", str(self.files.mail), str(port)],
            _inherited(),
        )

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        log = self.files.log(name)
        spawn = _spawner(command, environment, log)
        self.children.append(_Child(name, log, spawn, spawn(), time.monotonic()))

    def _watch(self, state: LabState, cloud: emulator.Emulator, server: postgres.Postgres) -> str:
        """Restarts what dies until told to stop; the message of what ended it otherwise."""
        written: tuple[ChildState, ...] | None = None
        database = _Child(
            "postgres",
            server.log_file,
            lambda: _restarted(server),
            server.process,
            time.monotonic(),
        )
        while not self.stopping:
            if cloud.process.poll() is not None:
                return (
                    f"the emulator ended with code {cloud.process.returncode}, and what it held is "
                    f"gone; see {self.files.log(EMULATOR_LOG)}, then `darkroom up` again"
                )
            for child in (*self.children, database):
                _revive(child)
            current = tuple(child.state() for child in (*self.children, database))
            if current != written:
                self.files.write(dataclasses.replace(state, children=current))
                written = current
            time.sleep(POLL_SECONDS)
        postgres.stop(dataclasses.replace(server, process=database.process))
        return ""

    def _stop_children(self) -> None:
        for child in self.children:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        give_up_at = time.monotonic() + WORKER_STOP_SECONDS
        for child in self.children:
            try:
                child.process.wait(max(0.1, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def _environment_of(item: Manifest, lab: Lab, provider_url: str) -> dict[str, str]:
    environment = lab.environment(item)
    if PROVIDER_URL in environment:
        environment[PROVIDER_URL] = provider_url
    return environment


def die_with_parent() -> None:
    """In a new child, before it runs: asks Linux to end it when its parent dies, so that a killed
    supervisor leaves no process behind. Elsewhere it does nothing."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _spawner(
    command: list[str], environment: dict[str, str], log: Path
) -> Callable[[], subprocess.Popen[bytes]]:
    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    return spawn


def _revive(child: _Child) -> None:
    now = time.monotonic()
    if child.process.poll() is None:
        return
    if child.restart_at is None:
        # One that was killed from outside (a signal: a negative code) is not to blame for it.
        failed = (child.process.returncode or 0) >= 0
        quick = failed and now - child.started < STABLE_SECONDS
        child.quick_deaths = child.quick_deaths + 1 if quick else 0
        delay = FIRST_RESTART_SECONDS * 2 ** max(child.quick_deaths - 1, 0)
        child.restart_at = now + min(delay, LAST_RESTART_SECONDS)
    if now >= child.restart_at:
        child.process, child.started = child.spawn(), now
        child.restarts += 1
        child.restart_at = None


def _restarted(server: postgres.Postgres) -> subprocess.Popen[bytes]:
    return postgres.start(server.folder, server.port, log_file=server.log_file).process


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  our own gateway's
            return True
    except OSError:
        return False


def _inherited() -> dict[str, str]:
    """The environment that a worker gets from here: no AWS settings of the person at the shell."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def hold_lock(files: LabFiles) -> IO[bytes] | None:
    """The lab's lock, held while the file is open; None when another supervisor has it."""
    files.logs.mkdir(parents=True, exist_ok=True)
    lock = files.lock.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.local.supervisor")
    parser.add_argument("root", type=Path)
    parser.add_argument("--port", type=int, default=None)
    parser.add_argument("--api-port", type=int, default=None)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=1)
    arguments = parser.parse_args()
    files = LabFiles(arguments.root)
    lock = hold_lock(files)
    if lock is None:
        return 1
    with lock:
        # The lock goes on with the child; whoever started us gets on at once, and the lab stays
        # when they end.
        if os.fork() > 0:
            return 0
        port = arguments.port or emulator.free_port()
        api_port = arguments.api_port or emulator.free_port()
        return Supervisor(files, port, api_port, arguments.workers, arguments.concurrency).run()


if __name__ == "__main__":
    sys.exit(main())
