"""LocalStack, Postgres and the function images as workers, in containers of a network of their own.

All of it bears the label RUN_LABEL and goes when the run ends, however it ends; what a run that was
killed outright has left behind goes at the start of the next one on the same machine.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from services.build import engine as docker_engine
from services.build import images
from services.build.engine import ImageError, docker
from services.imaging.model import LATE_FORMAT
from services.load_test import target
from services.load_test.plan import Plan
from services.load_test.target import Resources, TargetKind, WorkerGroup
from services.local import topology
from services.local.aws_session import READ_TIMEOUT_SECONDS
from services.local.emulator import ACCESS_KEY_ID, LOOPBACK, REGION, SECRET_ACCESS_KEY
from services.local.provision import Lab, provision
from services.local.state import PROJECT, alive
from services.mail.letter import EVENT_ID_HEADER
from services.operations.signals import ignore_signals
from services.platform import manifest
from services.platform.checkout import require_checkout
from services.platform.errors import PermanentError, TransientError
from services.platform.manifest import MIB_PER_CPU, WORKER_MIB, Feature, Manifest

TOPOLOGY = PROJECT / "terraform" / "lab" / "topology.yaml"
RUN_LABEL = "darkroom.load-test"
OWNER_LABEL = "darkroom.load-test.owner"  # its value: the machine and the process of the run
LOCALSTACK = "localstack/localstack:4.14.0"
MINISTACK = "ministackorg/ministack:1.5.33"
POSTGRES = "postgres:17"
EDGE_PORT = 4566
START_SECONDS = 120.0
# The mailer is ten times quicker than the developer: one of it keeps up with many of those.
MAIL_WORKERS = 1
DEVELOPER = "process-image"
LATE_FUNCTION = "add-avif"  # with a recipe that has AVIF
POLL_WAIT_SECONDS = 5
BUILD = "make images FEATURES=photos"
_TAIL_LINES = "20"
_REMOVAL_ROUNDS = 5

Progress = Callable[[str], None]


@dataclass
class _Worker:
    """One place in a group, and the containers that have held it; the last one runs."""

    name: str
    function: str
    start: Callable[[], str]
    containers: list[str] = field(default_factory=list)


class ContainerTarget:
    """Everything in containers. Use `opened`."""

    kind = TargetKind.CONTAINERS

    def __init__(self, plan: Plan, port: int | None) -> None:
        self._plan = plan
        self._port = port
        self._labels = [
            *("--label", f"{RUN_LABEL}={plan.run_id}"),
            *("--label", f"{OWNER_LABEL}={socket.gethostname()} {os.getpid()}"),
        ]
        self._network = f"darkroom-load-{plan.run_id}"
        self._clouds: dict[str, str] = {}
        self._endpoints: dict[str, str] = {}
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()
        self.worker_groups: tuple[WorkerGroup, ...] = ()
        self.remarks: tuple[str, ...] = ()

    @classmethod
    @contextmanager
    def opened(
        cls, plan: Plan, port: int | None = None, progress: Progress = lambda _text: None
    ) -> Iterator[ContainerTarget]:
        """Starts the target for a `with` block. LocalStack listens on `port` of loopback (default:
        a free one). Raises PermanentError (no engine, no image, a port taken),
        TransientError (something does not get ready)."""
        require_checkout("a load test in containers")
        docker_engine.require_engine()
        loaded = topology.load(TOPOLOGY).with_recipe(plan.recipe)
        manifests = photo_functions(loaded, manifest.load_all(PROJECT / "images"))
        own_dynamodb = _require_images(manifests)
        remove_abandoned()
        made = cls(plan, port)
        try:
            made._start_clouds(own_dynamodb, manifests, progress)
            made._start_workers(manifests, progress)
            yield made
        finally:
            progress("removing the containers")
            with ignore_signals():
                remove(f"{RUN_LABEL}={plan.run_id}")

    # -- the Target protocol

    def client(self, service: str) -> Any:
        own = "dynamodb" if service == "dynamodb" and "ministack" in self._endpoints else ""
        return target.client(self._endpoints["ministack" if own else "localstack"], service)

    def mails(self) -> list[str]:
        url = f"{self._endpoints['localstack']}/_aws/ses"
        try:
            found = json.loads(_fetch(url, READ_TIMEOUT_SECONDS))["messages"]
        except (OSError, ValueError) as error:
            raise TransientError(f"LocalStack does not show its e-mails: {error}") from error
        return [_event_id(message["RawData"]) for message in found]

    def logs(self) -> Iterator[tuple[str, str]]:
        for worker in self._workers:
            for container in worker.containers:
                yield worker.name, docker("logs", container)

    def memory_mib(self) -> Mapping[str, float]:
        return {}  # Docker's answer takes seconds

    def kill(self, draw: float) -> str:
        with self._lock:
            worker = self._workers[int(draw * len(self._workers))]
            before = worker.containers[-1]
            try:
                docker("kill", "--signal", "KILL", before)
            except ImageError:
                # It ended before, by itself: that is no fault of our making.
                raise TransientError(_exit_message(worker.name, before)) from None
            worker.containers.append(worker.start())
        return worker.name

    def check(self) -> None:
        with self._lock:
            wanted = {c: name for name, c in self._clouds.items()}
            wanted |= {w.containers[-1]: w.name for w in self._workers}
            running = set(
                docker("ps", "--no-trunc", "--quiet", "--filter",
                       f"label={RUN_LABEL}={self._plan.run_id}").split()
            )  # fmt: skip
        for container, name in wanted.items():
            if container not in running:
                raise TransientError(_exit_message(name, container))

    # -- setting it up

    def _start_clouds(
        self, own_dynamodb: bool, manifests: Sequence[Manifest], progress: Progress
    ) -> None:
        docker("network", "create", *self._labels, self._network)
        progress("starting LocalStack and Postgres")
        services = "s3,sqs,sns,ses,sts" + (",dynamodb" if own_dynamodb else "")
        self._run_cloud(
            "localstack",
            LOCALSTACK,
            {
                "LOCALSTACK_HOST": f"localstack:{EDGE_PORT}",
                "SQS_ENDPOINT_STRATEGY": "path",
                "EAGER_SERVICE_LOADING": "1",
                "SERVICES": services,
                "SKIP_SSL_CERT_DOWNLOAD": "1",
                "DISABLE_EVENTS": "1",
            },
            self._port,
        )
        if not own_dynamodb:
            self._run_cloud("ministack", MINISTACK, {}, None)
        self._clouds["postgres"] = self._run(
            "postgres", POSTGRES, {"POSTGRES_USER": "darkroom", "POSTGRES_PASSWORD": "not-a-secret"}
        )
        self._await("localstack", lambda: self._healthy("localstack", "/_localstack/health"))
        if not own_dynamodb:
            self._await("ministack", lambda: self._healthy("ministack", "/_ministack/health"))
        self._await("postgres", self._postgres_ready)
        progress("making queues, buckets, tables and topics")
        self._lab: Lab = provision(
            self,
            topology.load(TOPOLOGY).with_recipe(self._plan.recipe),
            manifests,
        )
        self.resources = Resources(
            originals=self._lab.bucket("originals"),
            renditions=self._lab.bucket("renditions"),
            images=self._lab.table("images"),
            queues=self._lab.queues,
        )

    def _start_workers(self, manifests: Sequence[Manifest], progress: Progress) -> None:
        progress("starting the workers")
        cores = os.cpu_count() or 1
        worker_groups, wanted = [], 0.0
        for item in manifests:
            count = self._plan.workers if item.name == DEVELOPER else MAIL_WORKERS
            cpus = min(item.cpus, float(cores))
            wanted += count * cpus
            worker_groups.append(WorkerGroup(item.name, count, item.memory_mib, cpus))
            for number in range(1, count + 1):
                name = f"{item.name}-{number}"
                worker = _Worker(name, item.name, self._starter(item, cpus))
                worker.containers.append(worker.start())
                self._workers.append(worker)
        self.worker_groups = tuple(worker_groups)
        remarks = [
            f"CPU quotas are Lambda's, memory / {MIB_PER_CPU} MiB of a processor"
            + (
                f", {wanted:.2f} in all. The machine has {cores}, which LocalStack and the "
                "generator use too: when it is full, durations are longer than on Lambda."
                if wanted >= cores - 1
                else "."
            )
        ]
        if "ministack" in self._endpoints:
            remarks.append(
                "LocalStack is a stand-in without DynamoDB; MiniStack serves the tables."
            )
        self.remarks = tuple(remarks)

    def _starter(self, item: Manifest, cpus: float) -> Callable[[], str]:
        queue = self._lab.queues[item.name]
        environment = {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://localstack:{EDGE_PORT}",
            **self._lab.environment(item),
            "WORKER_QUEUE_URL": queue.url,
            "WORKER_DEAD_LETTER_QUEUE_URL": queue.dead_letter_url,
            "WORKER_POLL_WAIT_SECONDS": str(POLL_WAIT_SECONDS),
            **self._plan.worker_variables,
        }
        if item.queue is not None and item.queue.fair:
            share = item.queue.owner_environments(self._plan.workers)
            environment["OWNER_ENVIRONMENTS"] = f"{share:g}"
        if "ministack" in self._endpoints:
            environment["AWS_ENDPOINT_URL_DYNAMODB"] = f"http://ministack:{EDGE_PORT}"
        limits = ["--memory", f"{item.memory_mib + WORKER_MIB}m", "--cpus", f"{cpus:.2f}"]
        return lambda: self._run(
            None, _image(item), environment, *limits, "--no-healthcheck", command=("worker",)
        )

    def _run_cloud(
        self, alias: str, image: str, environment: Mapping[str, str], port: int | None
    ) -> None:
        published = f"{LOOPBACK}:{port or ''}:{EDGE_PORT}"
        container = self._run(alias, image, environment, "--publish", published)
        self._clouds[alias] = container
        address = docker("port", container, f"{EDGE_PORT}/tcp").splitlines()[0]
        self._endpoints[alias] = f"http://{address}"

    def _run(
        self,
        alias: str | None,
        image: str,
        environment: Mapping[str, str],
        *options: str,
        command: tuple[str, ...] = (),
    ) -> str:
        """Starts a container in the run's network; its id."""
        arguments = ["--detach", "--network", self._network, *self._labels, *options]
        if alias is not None:
            arguments += ["--network-alias", alias]
        for name, value in environment.items():
            arguments += ["--env", f"{name}={value}"]
        try:
            return docker("run", *arguments, image, *command).splitlines()[-1]
        except ImageError as error:
            text = str(error)
            if "port is already allocated" in text or "address already in use" in text:
                raise PermanentError(
                    f"port {self._port} is taken by another program; choose another with --port, "
                    "or leave it out to get a free one"
                ) from None
            raise

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + START_SECONDS
        container = self._clouds[name]
        while not ready():
            if docker("inspect", "--format", "{{.State.Running}}", container) != "true":
                raise TransientError(_exit_message(name, container))
            if time.monotonic() > give_up_at:
                raise TransientError(
                    f"{name} was not ready within {START_SECONDS:.0f} s; the machine may be too "
                    f"busy. The end of its log:\n{_tail(container)}"
                )
            time.sleep(0.2)

    def _healthy(self, alias: str, path: str) -> bool:
        try:
            json.loads(_fetch(self._endpoints[alias] + path, 2))
        except (OSError, ValueError):
            return False
        return True

    def _postgres_ready(self) -> bool:
        try:
            docker("exec", self._clouds["postgres"], "pg_isready", "--quiet",
                   "--host", LOOPBACK, "--username", "darkroom")  # fmt: skip
        except ImageError:
            return False
        return True


def photo_functions(
    loaded: topology.Topology, manifests: Iterable[Manifest]
) -> tuple[Manifest, ...]:
    """The functions of the feature photos; LATE_FUNCTION only if the default recipe has AVIF."""
    late = LATE_FORMAT in loaded.recipes.recipes[loaded.recipe].formats
    return tuple(
        item
        for item in manifests
        if item.feature is Feature.PHOTOS and (late or item.name != LATE_FUNCTION)
    )


def _image(item: Manifest) -> str:
    return f"{images.REPOSITORY}/{item.name}:latest"


def _require_images(manifests: Sequence[Manifest]) -> bool:
    """Whether LocalStack brings its own DynamoDB. Raises PermanentError for an image that is not
    there or is for another processor."""
    host = docker_engine.host_platform()
    for item in manifests:
        found = docker_engine.inspect(_image(item))
        if found is None:
            raise PermanentError(f"expected the image {_image(item)}, found none: {BUILD}")
        _require_platform(_image(item), found, host, f"{BUILD} PLATFORM={host}")
    localstack = _require_service(LOCALSTACK, host)
    _require_service(POSTGRES, host)
    standin = docker_engine.STANDIN_LABEL in (localstack["Config"].get("Labels") or {})
    if standin:
        _require_service(MINISTACK, host)
    return not standin


def _require_service(name: str, host: str) -> dict[str, Any]:
    found = docker_engine.inspect(name)
    if found is None:
        try:
            docker("pull", "--quiet", name)
        except ImageError as error:
            raise PermanentError(
                f"the image {name} is not here and cannot be pulled; where no registry can be "
                f"reached: make standins\n{error}"
            ) from None
        found = docker_engine.inspect(name)
    if found is None:
        raise PermanentError(f"expected the image {name} after pulling it, found none")
    _require_platform(name, found, host, f"docker pull --platform {host} {name}")
    return found


def _require_platform(name: str, found: Mapping[str, Any], host: str, advice: str) -> None:
    got = f"{found['Os']}/{found['Architecture']}"
    if got != host:
        raise PermanentError(f"expected {name} for {host}, got one for {got}: {advice}")


def remove(label: str) -> None:
    """Removes every container and network with that label. Raises ImageError when one stays."""
    by_label = ["--filter", f"label={label}"]
    for _ in range(_REMOVAL_ROUNDS):
        # One that was just being started when the run was interrupted may come late.
        containers = docker("ps", "--all", "--quiet", *by_label).split()
        if containers:
            with suppress(ImageError):
                docker("rm", "--force", "--volumes", *containers)
        networks = docker("network", "ls", "--quiet", *by_label).split()
        if networks:
            with suppress(ImageError):
                docker("network", "rm", *networks)
        if not containers and not networks:
            return
        time.sleep(0.2)
    left = docker("ps", "--all", "--quiet", *by_label).split()
    if left:
        raise ImageError(f"containers are left behind: docker rm --force {' '.join(left)}")


def remove_abandoned() -> None:
    """Removes what runs on this machine that are no more have left behind."""
    listing = docker(
        "ps", "--all", "--filter", f"label={RUN_LABEL}",
        "--format", f'{{{{.Label "{RUN_LABEL}"}}}}\t{{{{.Label "{OWNER_LABEL}"}}}}',
    )  # fmt: skip
    listing += "\n" + docker(
        "network", "ls", "--filter", f"label={RUN_LABEL}",
        "--format", f'{{{{.Label "{RUN_LABEL}"}}}}\t{{{{.Label "{OWNER_LABEL}"}}}}',
    )  # fmt: skip
    for line in sorted(set(listing.splitlines())):
        run, _, owner = line.partition("\t")
        host, _, process = owner.rpartition(" ")
        if host == socket.gethostname() and process.isdigit() and not alive(int(process)):
            remove(f"{RUN_LABEL}={run}")


def _fetch(url: str, timeout_seconds: float) -> bytes:
    with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310
        return bytes(answer.read())


def _event_id(raw: str) -> str:
    headers = email.message_from_string(raw, policy=email.policy.default)
    return str(headers[EVENT_ID_HEADER])


def _exit_message(name: str, container: str) -> str:
    state = docker(
        "inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", container
    ).split()
    why = "because it ran out of memory" if state[1] == "true" else f"with code {state[0]}"
    return f"{name} ended {why} during the run. The end of its log:\n{_tail(container)}"


def _tail(container: str) -> str:
    """The end of a container's log, both streams."""
    done = subprocess.run(
        ["docker", "logs", "--tail", _TAIL_LINES, container],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stdout
