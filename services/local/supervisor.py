"""The process that runs a lab: emulator, Postgres, mailbox, payment sandbox, workers, gateway.

    python -m services.local.supervisor ROOT OPTIONS

OPTIONS is a LabOptions as JSON. The command returns at once; the supervisor goes on in the
background and holds ROOT/lock. It starts the parts, restarts those that end, writes ROOT/state.json
for other processes, and ends everything on SIGTERM, or when its lifeline closes.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from botocore.exceptions import BotoCoreError, ClientError

from services.local import emulator, payment_sandbox, postgres, topology
from services.local.emulator import Emulator, EmulatorOptions
from services.local.lab_secrets import LabSecrets, load_secrets
from services.local.options import LabOptions
from services.local.parts import (
    GATEWAY,
    FunctionPlan,
    function_plan,
    gateway_child,
    template_child,
    trace_receiver_child,
    worker_children,
    worker_names,
)
from services.local.processes import (
    Child,
    inherited_environment,
    spawner,
    start_child,
    stop_all,
)
from services.local.provision import Database, Lab, Payments, provision
from services.local.state import PROJECT, ChildState, LabFiles, LabState, LabStatus
from services.platform import manifest
from services.platform.errors import DarkroomError, TransientError
from services.platform.manifest import Feature, Manifest, Reference, Resource
from services.runtime.processes import die_with_parent

POLL_SECONDS = 0.1
# A lab in memory has nothing to lose: its workers get a moment to finish, then stop at once.
DRAIN_SECONDS = 0.3
# A lab that keeps its data lets running work finish, and long polls end.
KEPT_DRAIN_SECONDS = 30.0
FORCE_SECONDS = 10.0
EMULATOR = "emulator"
POSTGRES = "postgres"
SUPERVISOR = "supervisor"
# Seconds for the gateway to answer at first.
GATEWAY_START_SECONDS = 60.0
DATABASE_SECRET = "database"  # noqa: S105  its name in the topology
WEBHOOK_FUNCTION = "receive-payment"
UMASK = 0o077


class StopRequested(Exception):  # noqa: N818  not an error
    """The lab was asked to stop while it started."""


@dataclass
class Supervisor:
    """Runs one lab until it is asked to stop."""

    files: LabFiles
    options: LabOptions
    stopping: bool = False
    children: list[Child] = field(default_factory=list)
    template: Child | None = None
    cloud: Emulator | None = None
    server: postgres.Postgres | None = None
    emulator_options: EmulatorOptions = emulator.DEFAULT_OPTIONS
    unsaved: str = ""

    def run(self) -> int:
        """Runs the lab. Returns the exit code: 0 stopped on request, 1 failed."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        state = LabState(
            LabStatus.STARTING,
            os.getpid(),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            features=tuple(feature.value for feature in self.options.features),
            kept=self.options.keep,
        )
        message = "an error of the supervisor itself; see its log"
        try:
            self._write(state)
            state = self._start(state)
            message = self._watch(state)
        except StopRequested:
            message = ""
        except (DarkroomError, OSError, BotoCoreError, ClientError) as error:
            message = str(error)
        finally:
            self._end(dataclasses.replace(state, message=message))
        return 1 if message else 0

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    # -- starting

    def _start(self, state: LabState) -> LabState:
        """Starts every part. Emulator and Postgres start side by side, and the workers start while
        the schema is migrated."""
        api_port = self.options.api_port or emulator.free_port()
        api = f"http://{emulator.LOOPBACK}:{api_port}"
        manifests = tuple(
            m
            for m in manifest.load_all(PROJECT / "images")
            if m.feature in manifest.closed(self.options.features)
        )
        loaded = topology.load(PROJECT / "terraform" / "lab" / "topology.yaml")
        chosen = loaded.with_recipe(self.options.recipe).with_second_factor(
            self.options.administrator_second_factor
        )
        wanted = topology.restricted(chosen, manifests).with_sites((*self.options.sites, api))
        if not self.options.keep:
            self._remove_data()
        own = load_secrets(self.files.credentials, keep=self.options.keep)
        smtp_port = emulator.free_port()
        self._start_mailbox(smtp_port)
        endpoint = self._launch_emulator(own, smtp_port, wanted)
        if wanted.databases:
            self.server = postgres.launch(
                self.files.postgres,
                emulator.free_port(),
                log_file=self.files.log(POSTGRES),
                durable=self.options.keep,
            )
        self._check_stop()
        provider = self._start_payment_sandbox(own.payments, api, manifests)
        if self.cloud is not None:
            emulator.wait_until_healthy(self.cloud, self.files.log(EMULATOR))
        self._check_stop()
        state = dataclasses.replace(state, endpoint=endpoint, credentials=own.cloud)
        server = self.server
        lab = provision(
            state.session,
            wanted,
            manifests,
            database=Database(server.url, server.username, server.password) if server else None,
            payments=own.payments if provider else None,
            iam_enforced=self.emulator_options.iam_enforced,
            telemetry=str(self.files.root.absolute()),
        )
        self._check_stop()
        state = self._described(state, lab, api if Feature.CUSTOMERS in _features(state) else "")
        plans = [function_plan(item, lab, provider, state.api) for item in manifests]
        ports = {name: emulator.free_port() for name in worker_names(self.options)}
        state = dataclasses.replace(state, metrics=_metrics_addresses(ports, state.api))
        self._start_functions(plans, state, lab, api_port, ports)
        if server is not None:
            self._prepare_database(server, state)
        if state.api:
            self._await_gateway(state.api)
        return dataclasses.replace(state, status=LabStatus.READY)

    def _prepare_database(self, server: postgres.Postgres, state: LabState) -> None:
        """Migrates the schema and offers the products. The libraries load while Postgres starts;
        a lab without a database does not load them."""
        from services.operations import products
        from services.schema.migrate_database import migrate

        postgres.wait_until_ready(server)
        self._check_stop()
        database = state.database()
        migrate(database)
        products.offer(database, PROJECT / "terraform" / "lab" / "products.yaml")
        database.close()

    def _described(self, state: LabState, lab: Lab, api: str) -> LabState:
        """`state` with what was provisioned."""
        by_kind: dict[Resource, dict[str, str]] = {kind: {} for kind in Resource}
        for reference, value in lab.values.items():
            by_kind[reference.resource][reference.name] = value
        server = self.server
        return dataclasses.replace(
            state,
            mail_folder=str(self.files.mail),
            buckets=by_kind[Resource.BUCKET],
            tables=by_kind[Resource.TABLE],
            topics=by_kind[Resource.TOPIC],
            workflows=by_kind[Resource.WORKFLOW],
            recipes=by_kind[Resource.RECIPES],
            queues=dict(lab.queues),
            api=api,
            database_url=server.url if server else "",
            database_programs=str(postgres.binaries()) if server else "",
            database_folder=str(postgres.data_folder(server.folder)) if server else "",
            database_secret_arn=lab.values.get(Reference(Resource.SECRET, DATABASE_SECRET), ""),
        )

    def _start_functions(
        self,
        plans: list[FunctionPlan],
        state: LabState,
        lab: Lab,
        api_port: int,
        metrics_ports: Mapping[str, int],
    ) -> None:
        aws = emulator.aws_environment(state.endpoint, state.credentials)
        if self.options.traces:
            child, variables = trace_receiver_child(self.files, emulator.free_port())
            self.children.append(child)
            aws = {**aws, **variables}
        templates: dict[str, socket.socket] = {}
        if sys.platform == "linux":
            hosts = [*metrics_ports, *([GATEWAY] if state.api else [])]
            self.template, templates = template_child(plans, self.files, aws, hosts)
        if state.api:
            gateway = gateway_child(
                plans, self.files, api_port, aws, state, lab, templates.get(GATEWAY)
            )
            self.children.append(gateway)
        self.children += worker_children(
            plans, self.files, self.options, aws, metrics_ports, templates
        )

    def _launch_emulator(self, own: LabSecrets, smtp_port: int, wanted: topology.Topology) -> str:
        """Starts the emulator, unless one was given. Returns its endpoint."""
        if self.options.cloud is not None:
            return self.options.cloud
        self.emulator_options = EmulatorOptions(
            credentials=own.cloud,
            smtp_port=smtp_port,
            iam_enforced=True,
            data_folder=self.files.cloud if self.options.keep else None,
            origins=tuple(sorted({o for origins in wanted.sites.values() for o in origins})),
        )
        port = self.options.port or emulator.free_port()
        log = self.files.log(EMULATOR)
        self.cloud = emulator.launch(port, log, self.emulator_options, die_with_parent)
        return self.cloud.endpoint

    def _start_payment_sandbox(
        self, payments: Payments, api: str, manifests: tuple[Manifest, ...]
    ) -> str:
        """Starts the payment sandbox in a lab with orders. Returns its URL, else an empty text."""
        webhook = next((m.http for m in manifests if m.name == WEBHOOK_FUNCTION), None)
        if webhook is None:
            return ""
        port = emulator.free_port()
        command = [sys.executable, "-m", "services.local.payment_sandbox", "--port", str(port)]
        command += ["--ledger", str(self.files.payments), "--webhook-url", api + webhook.only.path]
        environment = {
            **inherited_environment(),
            payment_sandbox.API_KEY: payments.api_key,
            payment_sandbox.WEBHOOK_SECRET: payments.webhook_secret,
        }
        self._start_child("payment-provider", command, environment)
        return f"http://{emulator.LOOPBACK}:{port}"

    def _start_mailbox(self, port: int) -> None:
        command = [sys.executable, "-m", "services.local.mailbox", str(self.files.mail), str(port)]
        self._start_child("mailbox", command, inherited_environment())

    def _start_child(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        log = self.files.log(name)
        self.children.append(start_child(name, log, spawner(command, environment, log)))

    def _await_gateway(self, api: str) -> None:
        give_up_at = time.monotonic() + GATEWAY_START_SECONDS
        while not _answers(f"{api}/_darkroom/health"):
            self._check_stop()
            for child in self.children:
                child.revive()
            if time.monotonic() > give_up_at:
                raise TransientError(
                    f"the API did not answer at {api} within {GATEWAY_START_SECONDS:g} s; see "
                    f"{self.files.log(GATEWAY)}"
                )
            time.sleep(0.02)

    def _remove_data(self) -> None:
        """Empties what an earlier lab left; a lab in memory begins empty."""
        for folder in (
            self.files.mail,
            self.files.cloud,
            postgres.data_folder(self.files.postgres),
        ):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (
            *self.files.root.glob(f"{self.files.payments.name}*"),
            *self.files.root.glob("*-status.json"),
            *self.files.root.glob(self.files.traces.name),
            *(log for log in self.files.logs.glob("*.log") if log.stem != SUPERVISOR),
        ):
            path.unlink()

    # -- running

    def _watch(self, state: LabState) -> str:
        """Restarts parts that end until the lab is asked to stop. Returns what ended it else."""
        supervised = [*self.children]
        if self.template is not None:
            supervised.append(self.template)
        if self.server is not None:
            supervised.append(self._postgres_child(self.server))
        if self.cloud is not None and self.options.keep:
            supervised.append(self._emulator_child(self.cloud, self.emulator_options))
        written: tuple[ChildState, ...] | None = None
        while not self._must_stop():
            if self.cloud is not None and not self.options.keep:
                code = self.cloud.process.poll()
                if code is not None:
                    return (
                        f"the emulator ended with code {code}, and its data are lost; see "
                        f"{self.files.log(EMULATOR)}, then run `darkroom up` again"
                    )
            for child in supervised:
                child.revive()
            current = tuple(child.state() for child in supervised)
            if current != written and self._write(dataclasses.replace(state, children=current)):
                written = current
            time.sleep(POLL_SECONDS)
        return ""

    def _postgres_child(self, server: postgres.Postgres) -> Child:
        def spawn() -> subprocess.Popen[bytes]:
            self.server = postgres.launch(
                server.folder, server.port, log_file=server.log_file, durable=self.options.keep
            )
            return self.server.process

        return Child(POSTGRES, server.log_file, spawn, server.process, time.monotonic())

    def _emulator_child(self, cloud: Emulator, options: EmulatorOptions) -> Child:
        log = self.files.log(EMULATOR)

        def spawn() -> subprocess.Popen[bytes]:
            self.cloud = emulator.launch(cloud.port, log, options, die_with_parent)
            return self.cloud.process

        return Child(EMULATOR, log, spawn, cloud.process, time.monotonic())

    def _must_stop(self) -> bool:
        """Whether a signal came, or the process that started the lab has ended."""
        lifeline = self.options.lifeline
        if not self.stopping and lifeline is not None:
            self.stopping = bool(select.select([lifeline], [], [], 0)[0])
        return self.stopping

    def _check_stop(self) -> None:
        if self._must_stop():
            raise StopRequested

    def _write(self, state: LabState) -> bool:
        """Writes the state file. False if the disk is full or read-only: tried again later."""
        try:
            self.files.write(state)
        except OSError as error:
            if str(error) != self.unsaved:
                self.unsaved = str(error)
                sys.stderr.write(f"the state cannot be written: {error}\n")
            return False
        self.unsaved = ""
        return True

    # -- ending

    def _end(self, state: LabState) -> None:
        self._write(dataclasses.replace(state, status=LabStatus.STOPPING))
        drain = KEPT_DRAIN_SECONDS if self.options.keep else DRAIN_SECONDS
        stop_all(self.children, drain, FORCE_SECONDS)
        if self.template is not None:  # it tells the workers how their environments end
            stop_all([self.template], 0.0, FORCE_SECONDS)
        if self.server is not None:
            postgres.stop(self.server)
        if self.cloud is not None and self.options.keep:
            emulator.stop(self.cloud)
        elif self.cloud is not None:
            # A clean stop waits for open long polls, and there is nothing to save.
            self.cloud.process.kill()
            self.cloud.process.wait()
        ended = LabStatus.FAILED if state.message else LabStatus.STOPPED
        self._write(
            LabState(ended, os.getpid(), message=state.message, started_at=state.started_at)
        )


def _metrics_addresses(worker_ports: Mapping[str, int], api: str) -> dict[str, str]:
    addresses = {
        name: f"http://{emulator.LOOPBACK}:{port}/metrics" for name, port in worker_ports.items()
    }
    return {GATEWAY: f"{api}/_darkroom/metrics", **addresses} if api else addresses


def _features(state: LabState) -> frozenset[Feature]:
    return manifest.closed(Feature(name) for name in state.features)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  our own gateway's
            return True
    except OSError:
        return False


def hold_lock(files: LabFiles) -> IO[bytes] | None:
    """Takes the lab's lock, held while the file is open. None if another supervisor has it."""
    files.logs.mkdir(parents=True, exist_ok=True)
    lock = files.lock.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def main() -> int:
    files, options = LabFiles(Path(sys.argv[1])), LabOptions.decode(sys.argv[2])
    os.umask(UMASK)
    lock = hold_lock(files)
    if lock is None:
        return 1
    with lock:
        # The child keeps the lock; the command that started the lab goes on at once.
        if os.fork() > 0:
            return 0
        return Supervisor(files, options).run()


if __name__ == "__main__":
    sys.exit(main())
