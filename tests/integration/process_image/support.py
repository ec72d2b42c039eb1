"""process-image on an emulator: sends S3 events to it, reads what it stores and announces."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
from PIL import Image

from services.catalog.process_image import ProcessImage
from services.catalog.store import Catalog
from services.events.images import ImageEvent, parse_image_event
from services.imaging.model import Limits, Recipe
from services.imaging.recipes import only
from services.platform.functions.sqs import Message
from services.platform.manifest import Reference, Resource
from tests.integration.conftest import Provisioned
from tests.support.waiting import eventually

OWNER = "ann"


def photo(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


RED, BLUE = photo("red"), photo("blue")


class Environment:
    """process-image with its resources, and what they contain."""

    def __init__(self, provisioned: Provisioned) -> None:
        session, made = provisioned.session, provisioned.lab
        self.s3, self.sqs = session.client("s3"), session.client("sqs")
        self.originals, self.renditions = made.bucket("originals"), made.bucket("renditions")
        self.queue = made.queues["process-image"].url
        topic = made.values[Reference(Resource.TOPIC, "image-events")]
        self.catalog = Catalog(session.client("dynamodb"), made.table("images"))
        self.processor = ProcessImage(
            s3=self.s3,
            sns=session.client("sns"),
            catalog=self.catalog,
            renditions_bucket=self.renditions,
            topic_arn=topic,
            recipes=only(Recipe()),
            limits=Limits(),
        )
        # A queue for every image event, also those without a subscribed function.
        self.published = self.sqs.create_queue(QueueName=f"{self.originals}-published")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.published, AttributeNames=["QueueArn"])
        session.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        self.receive()  # S3's test event

    def receive(self) -> list[str]:
        """The bodies of all messages in the function's queue, in the order of their events."""
        return sorted(self._drain(self.queue), key=_sequencer)

    def events(self) -> list[ImageEvent]:
        return [parse_image_event(body) for body in self._drain(self.published)]

    def _drain(self, url: str) -> list[str]:
        bodies: list[str] = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0
            )
            if not answer.get("Messages"):
                return bodies
            for message in answer["Messages"]:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _next(self) -> str:
        """The one message that S3 sends for one change."""
        (body,) = eventually(self.receive, "S3 sends an event", pause_seconds=0.01)
        return body

    def upload(self, key: str, content: bytes, **metadata: str) -> str:
        """Uploads, and returns the message that S3 sent."""
        self.s3.put_object(Bucket=self.originals, Key=key, Body=content, Metadata=metadata)
        return self._next()

    def post(self, key: str, content: bytes, **metadata: str) -> str:
        """Uploads with a form, as request-upload signs it; returns the message that S3 sent."""
        fields = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        form = self.s3.generate_presigned_post(
            Bucket=self.originals,
            Key=key,
            Fields=dict(fields),
            Conditions=[{name: value} for name, value in fields.items()],
        )
        answer = httpx.post(form["url"], data=form["fields"], files={"file": content})
        assert answer.is_success
        return self._next()

    def versions(self, key: str) -> list[str]:
        """The ids of the object versions of a key, without deletion markers."""
        listed = self.s3.list_object_versions(Bucket=self.originals, Prefix=key)
        return [version["VersionId"] for version in listed.get("Versions", ())]

    def delete(self, key: str) -> str:
        self.s3.delete_object(Bucket=self.originals, Key=key)
        return self._next()

    def handle(self, *bodies: str) -> None:
        for body in bodies:
            self.processor.handle(Message("m", body, 1, False, time.monotonic() + 60))

    def rendition_keys(self) -> set[str]:
        listed = self.s3.list_objects_v2(Bucket=self.renditions)
        return {item["Key"] for item in listed.get("Contents", ())}

    def images(self) -> list[dict[str, Any]]:
        """Every image record in the table."""
        items = self.catalog.dynamodb.scan(TableName=self.catalog.table)["Items"]
        return [item for item in items if item["item"]["S"].startswith("image#")]


def _sequencer(body: str) -> str:
    records = json.loads(body).get("Records")
    return records[0]["s3"]["object"]["sequencer"] if records else ""


class Crash(BaseException):
    """The end of the process: not caught by any handler."""


class CrashingClient:
    """Wraps an AWS client; raises Crash before or after the n-th call."""

    def __init__(self, client: Any, calls: Iterator[int], crash_at: int, after: bool) -> None:
        self._client, self._calls, self._crash_at, self._after = client, calls, crash_at, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in ("exceptions", "get_paginator"):
            return found

        def call(**arguments: Any) -> Any:
            mine = next(self._calls) == self._crash_at
            if mine and not self._after:
                raise Crash
            answer = found(**arguments)
            if mine:
                raise Crash
            return answer

        return call
