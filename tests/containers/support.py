"""Containers for the tests: the clouds, a function under the emulator, a worker."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError

import numpy as np
import pytest
from docker.errors import DockerException, NotFound
from PIL import Image
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

import docker
from services.build.images import Built
from services.catalog.store import Catalog
from services.local import provision, topology
from services.local.aws_session import LocalSession
from services.local.emulator import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from services.platform.manifest import load_all

ROOT = Path(__file__).parents[2]
MANIFESTS = {manifest.name: manifest for manifest in load_all(ROOT / "images")}
LOCALSTACK = "localstack/localstack:4.14.0"
MINISTACK = "ministackorg/ministack:1.5.33"
EDGE_PORT = 4566
EMULATOR_PORT = 8080
HTTP_PORT = 8080
INVOKE_PATH = "/2015-03-31/functions/function/invocations"
OWNER_LABEL = "dev.darkroom.test"  # its value: the test run's machine and process id
# Lambda gives CPU by memory, one whole processor at this size:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MIB_PER_CPU = 1769
# The worker's own process beside its execution environments.
WORKER_OWN_MIB = 160
HOST = socket.gethostname()
OWNER = "anna"
RECIPIENT = "anna@darkroom.example"
Value = TypeVar("Value")


class NoEngineError(Exception):
    """No Docker engine answers."""


class Engine:
    """The Docker engine, and what this test run has in it."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self.labels = {OWNER_LABEL: f"{HOST} {os.getpid()}"}

    @classmethod
    def connect(cls) -> Engine:
        try:
            client = docker.from_env()
            client.ping()
        except DockerException as error:
            raise NoEngineError(str(error)) from error
        return cls(client)

    @classmethod
    def required(cls) -> Engine:
        """As `connect`; a test without an engine is skipped and says so, and fails in CI."""
        try:
            return cls.connect()
        except NoEngineError as error:
            message = (
                f"no Docker engine answers ({error}): start yours, or run .ci/engine on Debian"
            )
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)

    @property
    def gateway_address(self) -> str:
        """Where containers outside of any other network find the engine's machine."""
        return bridge_address(self.client.networks.get("bridge").attrs)

    def remove_own(self) -> None:
        """Removes everything that this run has started and not stopped."""
        self._remove(lambda owner: owner == self.labels[OWNER_LABEL])

    def remove_abandoned(self) -> None:
        """Removes what runs on this machine that are no more have left behind."""

        def abandoned(owner: str) -> bool:
            host, _, process = owner.rpartition(" ")
            return host == HOST and not _alive(int(process))

        self._remove(abandoned)

    def _remove(self, chosen: Callable[[str], bool]) -> None:
        filters = {"label": OWNER_LABEL}
        for container in self.client.containers.list(all=True, filters=filters):
            if chosen(container.labels[OWNER_LABEL]):
                container.remove(force=True, v=True)
        for network in self.client.networks.list(filters=filters):
            if chosen(network.attrs["Labels"][OWNER_LABEL]):
                network.remove()


def bridge_address(network: Mapping[str, Any]) -> str:
    """The IPv4 address that the engine's machine has on a bridge network.

    `network` is what `docker network inspect` prints. An engine that has just created its default
    bridge lists no `Gateway` until it is restarted; the bridge then has the first host address of
    the subnet. Raises LookupError when the network has no IPv4 subnet.
    """
    for config in network["IPAM"]["Config"] or ():
        subnet = ip_network(config["Subnet"], strict=False)
        if isinstance(subnet, IPv4Network):
            return str(config.get("Gateway") or next(subnet.hosts()))
    raise LookupError(
        f"network {network['Name']!r} has no IPv4 subnet: expected one in {network['IPAM']}"
    )


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def eventually(
    probe: Callable[[], Value], what: str, seconds: float = 60, pause_seconds: float = 0.1
) -> Value:
    """The first true answer of `probe`. Fails with `what` was awaited, and its last answer."""
    give_up_at = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < give_up_at, f"not within {seconds} s: {what}; got {answer!r}"
        time.sleep(pause_seconds)
    return answer


def fetch(url: str, body: bytes | None = None, timeout_seconds: float = 60) -> bytes:
    """GET, or POST of `body`. Raises OSError; HTTPError is one."""
    request = urllib.request.Request(url, body)
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
        return bytes(answer.read())


def answers(url: str) -> bool:
    try:
        fetch(url, timeout_seconds=2)
    except OSError:
        return False
    return True


@contextmanager
def running(container: DockerContainer) -> Iterator[DockerContainer]:
    """The container for the length of a `with` block."""
    container.start()
    try:
        yield container
    finally:
        with suppress(NotFound):
            container.get_wrapped_container().remove(force=True, v=True)


@dataclass(frozen=True)
class Cloud:
    """LocalStack, and MiniStack for DynamoDB, which LocalStack's stand-in lacks."""

    engine: Engine
    network: Network
    localstack: str
    ministack: str

    @classmethod
    @contextmanager
    def started(cls, engine: Engine) -> Iterator[Cloud]:
        network = Network(docker_network_kw={"labels": engine.labels})
        variables = {
            "LOCALSTACK_HOST": f"localstack:{EDGE_PORT}",
            "SQS_ENDPOINT_STRATEGY": "path",
            "EAGER_SERVICE_LOADING": "1",
            "SERVICES": "s3,sqs,sns,ses,sts,secretsmanager,stepfunctions,events",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
        }
        with network, ExitStack() as stack:
            urls = []
            for image, alias, health in (
                (LOCALSTACK, "localstack", "/_localstack/health"),
                (MINISTACK, "ministack", "/_ministack/health"),
            ):
                container = (
                    DockerContainer(image)
                    .with_envs(**(variables if alias == "localstack" else {}))
                    .with_exposed_ports(EDGE_PORT)
                    .with_network(network)
                    .with_network_aliases(alias)
                    .with_kwargs(labels=engine.labels)
                )
                stack.enter_context(running(container))
                url = f"http://127.0.0.1:{container.get_exposed_port(EDGE_PORT)}"
                eventually(lambda at=url + health: answers(at), f"{image} is healthy")
                urls.append(url)
            yield cls(engine, network, *urls)

    def client(self, service: str) -> Any:
        """A client for this test's process."""
        return LocalSession(self.ministack if service == "dynamodb" else self.localstack).client(
            service
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a container in the network needs to reach the clouds."""
        return aws_environment() | {
            "AWS_ENDPOINT_URL": f"http://localstack:{EDGE_PORT}",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://ministack:{EDGE_PORT}",
        }


def aws_environment() -> dict[str, str]:
    return {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Emulated:
    """A function's image under the Runtime Interface Emulator."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self._url = f"http://127.0.0.1:{container.get_exposed_port(EMULATOR_PORT)}{INVOKE_PATH}"
        # The emulator answers 404 to this as soon as it listens; an invocation would start init.
        eventually(self._listens, "the emulator listens", pause_seconds=0.02)

    def _listens(self) -> bool:
        try:
            fetch(self._url.removesuffix(INVOKE_PATH) + "/", timeout_seconds=2)
        except HTTPError:
            return True
        except OSError:
            return False
        return True

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """The function's answer, or the error document of a function that could not start. One
        call at a time: the emulator knows no other."""
        try:
            return json.loads(fetch(self._url, json.dumps(event).encode()))
        except HTTPError as error:
            with error:
                return json.load(error)

    @property
    def cpu_ms(self) -> float:
        """CPU time of the container so far, the emulator's own in it."""
        container = self._container.get_wrapped_container()
        stats = container.client.api.stats(container.id, stream=False, one_shot=True)
        return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e6

    @property
    def image_id(self) -> str:
        return str(self._container.get_wrapped_container().attrs["Image"])

    def logs(self) -> str:
        return self._container.get_wrapped_container().logs().decode(errors="replace")


@contextmanager
def emulated(
    engine: Engine,
    image: str,
    environment: Mapping[str, str],
    *,
    memory_mib: int,
    cpus: float = 1.0,
    network: Network | None = None,
    task: Path | None = None,
) -> Iterator[Emulated]:
    """The image as a Lambda function, with one whole CPU unless told: init gets that much. `task`
    is a folder to run in place of the image's own function."""
    container = (
        DockerContainer(image)
        .with_command("handler.handler")
        .with_envs(AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(memory_mib), **environment)
        .with_exposed_ports(EMULATOR_PORT)
        .with_kwargs(
            labels=engine.labels, nano_cpus=int(cpus * 1e9), mem_limit=f"{memory_mib + 64}m"
        )
    )
    if task is not None:
        container = container.with_volume_mapping(str(task), "/var/task", "ro")
    if network is not None:
        container = container.with_network(network)
    with running(container):
        yield Emulated(container)


class Worker:
    """A function's image as a worker."""

    def __init__(self, container: DockerContainer) -> None:
        self._container = container.get_wrapped_container()

    def stop(self, seconds: int = 40) -> int:
        """`docker stop`: SIGTERM, and SIGKILL after `seconds`. The exit status."""
        self._container.stop(timeout=seconds)
        return int(self._container.wait()["StatusCode"])

    def kill(self) -> None:
        self._container.kill()

    @property
    def image_id(self) -> str:
        return str(self._container.attrs["Image"])

    @property
    def health(self) -> str:
        self._container.reload()
        return str(self._container.attrs["State"]["Health"]["Status"])

    @property
    def user(self) -> str:
        return self._container.exec_run(["id", "-u"]).output.decode().strip()

    def logs(self) -> str:
        return self._container.logs().decode(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The JSON lines of that event."""
        lines = [json.loads(x) for x in self.logs().splitlines() if x.startswith("{")]
        return [line for line in lines if line.get("event") == name]


class ContainerLab:
    """One test's queues, buckets, tables and topics, and its workers."""

    def __init__(
        self,
        cloud: Cloud,
        built: Mapping[str, Built],
        prefix: str,
        cleanup: ExitStack,
        database: provision.Database | None = None,
        payments: provision.Payments | None = None,
    ) -> None:
        self.cloud = cloud
        self.built = built
        self._cleanup = cleanup
        self.made = provision.provision(
            cloud, topology.load(ROOT / "terraform/lab/topology.yaml"),
            list(MANIFESTS.values()), prefix, database, payments,
        )  # fmt: skip
        self.catalog = Catalog(cloud.client("dynamodb"), self.made.table("images"))

    def environment(self, function: str) -> dict[str, str]:
        queue = self.made.queues.get(function)
        return {
            **self.cloud.environment,
            **self.made.environment(MANIFESTS[function]),
            **({"DEAD_LETTER_QUEUE_URL": queue.dead_letter_url} if queue else {}),
        }

    def worker(self, function: str, **variables: str) -> Worker:
        """Starts a worker with the CPU and memory that Lambda gives the function."""
        manifest, queue = MANIFESTS[function], self.made.queues[function]
        environment = {
            **self.environment(function),
            "WORKER_QUEUE_URL": queue.url,
            "WORKER_DEAD_LETTER_QUEUE_URL": queue.dead_letter_url,
            "WORKER_POLL_WAIT_SECONDS": "1",
            "WORKER_VISIBILITY_SECONDS": "6",
            "WORKER_BACKOFF_BASE_SECONDS": "1",
            **variables,
        }
        container = (
            DockerContainer(self.built[function].image)
            .with_command("worker")
            .with_envs(**environment)
            .with_network(self.cloud.network)
            .with_kwargs(
                labels=self.cloud.engine.labels,
                mem_limit=f"{manifest.memory_mib + WORKER_OWN_MIB}m",
                nano_cpus=int(manifest.memory_mib / MIB_PER_CPU * 1e9),
            )
        )
        self._cleanup.enter_context(running(container))
        return Worker(container)

    def served(self, function: str, **variables: str) -> str:
        """Starts a function's container as an HTTP source; its address for this test's process.
        Other containers reach it by the function's name, on HTTP_PORT."""
        container = (
            DockerContainer(self.built[function].image)
            .with_command("worker")
            .with_envs(
                **self.cloud.environment,
                **self.made.environment(MANIFESTS[function]),
                **variables,
            )
            .with_exposed_ports(HTTP_PORT)
            .with_network(self.cloud.network)
            .with_network_aliases(function)
            .with_kwargs(
                labels=self.cloud.engine.labels,
                mem_limit=f"{MANIFESTS[function].memory_mib + WORKER_OWN_MIB}m",
            )
        )
        self._cleanup.enter_context(running(container))
        url = f"http://127.0.0.1:{container.get_exposed_port(HTTP_PORT)}"
        eventually(lambda: answers(f"{url}/_darkroom/health"), f"{function} answers")
        return url

    def emulated(self, function: str) -> Emulated:
        """The function under the emulator, connected to this lab."""
        return self._cleanup.enter_context(
            emulated(
                self.cloud.engine,
                self.built[function].image,
                self.environment(function),
                memory_mib=MANIFESTS[function].memory_mib,
                network=self.cloud.network,
            )
        )

    # -- photos

    def upload(self, seed: int, width: int = 640, height: int = 480) -> str:
        """Uploads a photo like no other, and gives its key."""
        key = f"{OWNER}/upload-{seed}/photo-{seed}.jpg"
        self.cloud.client("s3").put_object(
            Bucket=self.made.bucket("originals"),
            Key=key,
            Body=photo(seed, width, height),
            Metadata={"notify": RECIPIENT},
        )
        return key

    def developed(self, keys: list[str]) -> list[str]:
        """Those of the uploads whose photo is in the catalogue and announced."""
        done = []
        for source in self.catalog.sources(OWNER, keys):
            record = self.catalog.image(OWNER, source.image_id) if source.image_id else None
            if source.announced and record is not None and record.status.value == "developed":
                done.append(source.key)
        return done

    # -- queues

    @cached_property
    def _sqs(self) -> Any:
        return self.cloud.client("sqs")

    def send(self, function: str, *bodies: str) -> None:
        """Puts messages into the function's queue, in one request."""
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        self._sqs.send_message_batch(QueueUrl=self.made.queues[function].url, Entries=entries)

    def take(self, function: str, containing: str = "") -> dict[str, Any]:
        """Takes the next message with that text off the function's queue, as Lambda would hand it
        to the function. Those before it are dropped: S3's test event is one."""
        queue = self.made.queues[function]

        def receive() -> list[dict[str, Any]]:
            answer = self._sqs.receive_message(QueueUrl=queue.url, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self._sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
                if containing in message["Body"]:
                    return [message]
            return []

        (message,) = eventually(receive, f"a message for {function}")
        return sqs_record(message["Body"], message["MessageId"], queue.arn)

    def depth(self, function: str) -> int:
        """Messages in the function's queue: waiting, delayed or being worked on."""
        return self._depth(self.made.queues[function].url)

    def dead(self, function: str) -> int:
        return self._depth(self.made.queues[function].dead_letter_url)

    def _depth(self, url: str) -> int:
        names = ["", "NotVisible", "Delayed"]
        got = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(got[f"ApproximateNumberOfMessages{name}"]) for name in names)

    def dead_letters(self, function: str) -> list[dict[str, Any]]:
        """Receives the function's dead letters, with their attributes."""
        answer = self._sqs.receive_message(
            QueueUrl=self.made.queues[function].dead_letter_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    # -- mails

    def mails(self) -> list[str]:
        """Every e-mail that LocalStack's SES took, as text."""
        messages = json.loads(fetch(f"{self.cloud.localstack}/_aws/ses"))["messages"]
        return [message.get("RawData", "") for message in messages]


def sqs_record(body: str, message_id: str, queue_arn: str) -> dict[str, Any]:
    """A record of the event that Lambda makes of an SQS message."""
    return {
        "messageId": message_id,
        "receiptHandle": "receipt",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "0"},
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode()).hexdigest(),  # noqa: S324  what SQS sends
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def photo(seed: int, width: int, height: int) -> bytes:
    """A JPEG with content of its own for every seed."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
