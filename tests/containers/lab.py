"""A lab in containers: provisioned resources, and the functions that use them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from testcontainers.core.container import DockerContainer

from services.build.images import Built
from services.catalog.store import Catalog
from services.local import provision, topology
from services.local.emulator import REGION
from services.platform.manifest import WORKER_MIB, load_all
from tests.containers.cloud import Cloud
from tests.containers.engine import answers, fetch, running
from tests.containers.function_containers import Emulated, Worker, emulated
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
MANIFESTS = {manifest.name: manifest for manifest in load_all(ROOT / "images")}
HTTP_PORT = 8080
OWNER = "anna"
RECIPIENT = "anna@darkroom.example"


class ContainerLab:
    """The queues, buckets, tables and topics of one test, and its function containers."""

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
            "MAIL_PHOTOS_PER_DAY": "0",  # one recipient gets an e-mail about each photo
        }

    def worker(self, function: str, **variables: str) -> Worker:
        """Starts a worker with the CPU and memory of the Lambda function."""
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
                mem_limit=f"{manifest.memory_mib + WORKER_MIB}m",
                nano_cpus=int(manifest.cpus * 1e9),
            )
        )
        self._cleanup.enter_context(running(container))
        return Worker(container)

    def served(self, function: str, **variables: str) -> str:
        """Starts a function as an HTTP server and returns its URL for the test process.

        Other containers reach it by the function's name on HTTP_PORT.
        """
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
                mem_limit=f"{MANIFESTS[function].memory_mib + WORKER_MIB}m",
            )
        )
        self._cleanup.enter_context(running(container))
        url = f"http://127.0.0.1:{container.get_exposed_port(HTTP_PORT)}"
        eventually(lambda: answers(f"{url}/_darkroom/health"), f"{function} answers")
        return url

    def emulated(self, function: str) -> Emulated:
        """Starts the function under the emulator with the lab's variables."""
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
        """Uploads a photo with unique content and returns its key."""
        key = f"{OWNER}/upload-{seed}/photo-{seed}.jpg"
        self.cloud.client("s3").put_object(
            Bucket=self.made.bucket("originals"),
            Key=key,
            Body=photo(seed, width, height),
            Metadata={"notify": RECIPIENT},
        )
        return key

    def developed(self, keys: list[str]) -> list[str]:
        """The keys whose photo is in the catalogue and was announced."""
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
        """Sends messages to the function's queue in one request."""
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        self._sqs.send_message_batch(QueueUrl=self.made.queues[function].url, Entries=entries)

    def take(self, function: str, containing: str = "") -> dict[str, Any]:
        """Receives and deletes the next message that contains the text, as a Lambda record.

        Deletes the messages before it, such as the test event of S3.
        """
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
        """The number of messages in the queue: visible, delayed or in flight."""
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

    # -- e-mails

    def mails(self) -> list[str]:
        """The text of every e-mail that SES accepted."""
        messages = json.loads(fetch(f"{self.cloud.localstack}/_aws/ses"))["messages"]
        return [message.get("RawData", "") for message in messages]


def sqs_record(body: str, message_id: str, queue_arn: str) -> dict[str, Any]:
    """The Lambda event record of an SQS message."""
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
    """A JPEG whose content depends on the seed."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
