"""The environment of a lab under test (emulator, Postgres, mailbox, payment provider), and the
project's own processes on the resources that Terraform created."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.local import emulator as emulators
from services.local import payment_sandbox, topology
from services.local import postgres as servers
from services.local.aws_session import LocalSession
from services.local.emulator import LOOPBACK, aws_environment, free_port
from services.local.parts import INIT_SECONDS
from services.local.state import PROJECT
from services.operations import products
from services.platform.configuration import read
from services.platform.database import Database, DatabaseConfiguration
from services.platform.manifest import Manifest, load_all
from services.runtime.processes import die_with_parent
from services.schema.migrate_database import migrate
from tests.infrastructure.terraform import images
from tests.support.relay import relayed
from tests.support.waiting import eventually, scaled

TOPOLOGY = PROJECT / "terraform" / "lab" / "topology.yaml"
START_SECONDS = 60
STOP_SECONDS = 40
API_KEY, WEBHOOK_SECRET = "api-key-of-the-tests", "webhook-secret-of-the-tests"
# An idle worker stops after its current long poll.
POLL_WAIT_SECONDS = 2


# Receivers of webhooks run on this machine.
RECEIVERS = {"WEBHOOK_LOOPBACK": "true"}


@dataclass(frozen=True)
class Cloud:
    """An emulator; `others` are endpoints of services that another emulator serves."""

    endpoint: str
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables by which SDKs and Terraform reach it."""
        elsewhere = {f"AWS_ENDPOINT_URL_{name.upper()}": at for name, at in self.others.items()}
        return {**aws_environment(self.endpoint), **elsewhere}

    def client(self, service: str) -> Any:
        return LocalSession(self.others.get(service, self.endpoint)).client(service)


@dataclass(frozen=True)
class LabEnvironment:
    """Everything that exists before Terraform is applied."""

    folder: Path
    cloud: Cloud
    postgres: servers.Postgres
    api_port: int
    provider_port: int
    # The address at which functions reach this machine, in containers too.
    address: str

    def with_cloud(self, cloud: Cloud) -> LabEnvironment:
        """The same environment with another emulator."""
        return replace(self, cloud=cloud)

    @property
    def mail(self) -> Path:
        return self.folder / "mail"

    @property
    def api(self) -> str:
        return f"http://{LOOPBACK}:{self.api_port}"

    @property
    def provider(self) -> str:
        return f"http://{LOOPBACK}:{self.provider_port}"

    @property
    def ledger(self) -> Path:
        return self.folder / "payments.sqlite"

    @property
    def database_url(self) -> str:
        """Without a password."""
        return self._reachable(self.postgres.url)

    def variables(self, target: str) -> dict[str, Any]:
        """Terraform variables of a lab whose queue functions all run as workers, with the database
        and the payment provider of this environment."""
        return {
            "target": target,
            "protected": False,
            "image_digests": images([m.name for m in manifests()]),
            "compute": {m.name: "worker" for m in manifests() if m.queue is not None},
            "worker_network": self._network() if target == "ministack" else None,
            "payments": {"provider": "sandbox", "url": self._reachable(self.provider)},
            "payments_secret": json.dumps({"api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET}),
            "payments_secret_version": 1,
            "external_database": {"url": self.database_url, "username": self.postgres.username},
            "external_database_password": self.postgres.password,
        }

    def _reachable(self, url: str) -> str:
        return url.replace(f"{LOOPBACK}:", f"{self.address}:")

    def _network(self) -> dict[str, list[str]]:
        """The account's default VPC."""
        ec2 = self.cloud.client("ec2")
        return {
            "subnet_ids": [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]],
            "security_group_ids": [
                g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]
            ],
        }


def manifests() -> tuple[Manifest, ...]:
    return load_all(PROJECT / "images")


def loaded_topology() -> topology.Topology:
    return topology.load(TOPOLOGY)


@contextmanager
def lab_environment(
    folder: Path, *, iam_enforced: bool = False, address: str = LOOPBACK
) -> Iterator[LabEnvironment]:
    """An emulator with a mailbox, and Postgres, for a `with` block. With the address of a Docker
    bridge, containers reach them too."""
    with ExitStack() as stack:
        smtp_port = free_port()
        mail = folder / "mail"
        mailbox = [sys.executable, "-m", "services.local.mailbox", str(mail), str(smtp_port)]
        stack.enter_context(process(mailbox, {}, folder / "mailbox.log"))
        cloud = emulators.start(
            free_port(), folder / "emulator.log", smtp_port, die_with_parent,
            iam_enforced=iam_enforced,
        )  # fmt: skip
        stack.callback(emulators.stop, cloud)
        server = stack.enter_context(servers.running(folder / "postgres"))
        api_port, provider_port = free_port(), free_port()
        if address != LOOPBACK:
            for port in (cloud.port, server.port, provider_port):
                stack.enter_context(relayed(port, address=address, port=port))
        yield LabEnvironment(
            folder, Cloud(cloud.endpoint), server, api_port, provider_port, address
        )


@contextmanager
def process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """A process of the project for a `with` block; it has time to drain."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "WORKER_"))}
    with log.open("ab") as output:
        started = subprocess.Popen(
            list(command), cwd=PROJECT, env={**kept, **environment},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        yield
        assert started.poll() is None, f"{command[2]} ended: {log.read_text()[-3000:]}"
    finally:
        started.terminate()
        try:
            started.wait(scaled(STOP_SECONDS))
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def worker(
    folder: Path,
    cloud: Cloud,
    output: Mapping[str, Any],
    item: Manifest,
    credentials: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Runs a function's worker with the outputs of Terraform, for a `with` block."""
    queue = output["queues"][item.name]
    command = [sys.executable, "-m", "services.worker", "--function", str(item.folder)]
    variables = {
        **cloud.variables,
        **output["functions"][item.name]["environment"],
        **RECEIVERS,
        **(credentials or {}),
        "WORKER_QUEUE_URL": queue["url"],
        "WORKER_DEAD_LETTER_QUEUE_URL": queue["dead_letter_url"],
        "WORKER_POLL_WAIT_SECONDS": str(POLL_WAIT_SECONDS),
        "WORKER_INIT_SECONDS": str(INIT_SECONDS),
    }
    with process(command, variables, folder / f"{item.name}.log"):
        yield


@contextmanager
def running_functions(
    lab: LabEnvironment,
    output: Mapping[str, Any],
    credentials: Callable[[str], Mapping[str, str]] = lambda _function: {},
) -> Iterator[None]:
    """Runs the workers and the gateway with the outputs of Terraform alone. A queue function with
    `compute` = lambda is left to the emulator's Lambda.

    `credentials` returns a function's AWS variables, in place of the emulator's own.
    """
    functions = output["functions"]
    aws = lab.cloud.variables
    _prepare_database(lab, output)
    with ExitStack() as stack:
        stack.enter_context(_payment_provider(lab))
        plan = []
        for item in manifests():
            environment = functions[item.name]["environment"]
            environment = {**environment, **RECEIVERS, **credentials(item.name)}
            if item.queue is not None:
                if functions[item.name]["compute"] == "lambda":
                    continue
                stack.enter_context(
                    worker(lab.folder, lab.cloud, output, item, credentials(item.name))
                )
            elif item.http is not None or item.authorizer is not None:
                plan.append(
                    {"folder": str(item.folder), "environment": environment, "concurrency": 2}
                )
        written = lab.folder / "gateway.json"
        gateway = {"host": LOOPBACK, "port": lab.api_port, "functions": plan}
        written.write_text(json.dumps(gateway | {"init_seconds": INIT_SECONDS}))
        stack.enter_context(
            process(
                [sys.executable, "-m", "services.gateway", str(written)],
                aws,
                lab.folder / "gateway.log",
            )
        )
        _await(f"{lab.api}/_darkroom/health")
        yield


def _prepare_database(lab: LabEnvironment, output: Mapping[str, Any]) -> None:
    reached = Database(
        read(
            DatabaseConfiguration,
            {
                "DATABASE_URL": output["database"]["url"],
                "DATABASE_SECRET_ARN": output["database"]["secret_arn"],
            },
        ),
        lab.cloud.client("secretsmanager"),
    )
    migrate(reached)
    products.offer(reached, PROJECT / "terraform" / "lab" / "products.yaml")
    reached.close()


@contextmanager
def _payment_provider(lab: LabEnvironment) -> Iterator[None]:
    (webhook,) = [m.http.only.path for m in manifests() if m.http and m.name == "receive-payment"]
    command = [sys.executable, "-m", "services.local.payment_sandbox"]
    command += ["--port", str(lab.provider_port), "--ledger", str(lab.ledger)]
    command += ["--webhook-url", lab.api + webhook]
    keys = {payment_sandbox.API_KEY: API_KEY, payment_sandbox.WEBHOOK_SECRET: WEBHOOK_SECRET}
    with process(command, keys, lab.folder / "payment-provider.log"):
        _await(f"{lab.provider}/health")
        yield


def _await(url: str) -> None:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=scaled(2)):
                return True
        except OSError:
            return False

    eventually(answers, f"{url} answers", START_SECONDS)
