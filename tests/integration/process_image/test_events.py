"""process-image on a real S3, DynamoDB, SNS and SQS: duplicate, late and reordered events,
deletions, and a crash between any two steps."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from services.catalog import created, originals
from services.catalog.lifecycle import ChangedMeanwhileError, ImageLifecycle
from services.catalog.model import METADATA_KEEP_LOCATION, METADATA_NOTIFY, ImageStatus, image_id
from services.catalog.process_image import ProcessImage
from services.catalog.store import Catalog
from services.events.images import ImageEvent, ImageEventType, parse_image_event
from services.imaging.model import Limits, OutputFormat, Recipe, RenditionSpec
from services.platform.functions.sqs import Message
from services.platform.manifest import Reference, Resource
from tests.integration.conftest import Provisioned
from tests.support.waiting import eventually

OWNER = "ann"


def photo(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


# One rendition, so that the test of a crash at every call has fewer calls.
SMALL = Recipe(renditions=(RenditionSpec("thumb", 32),), formats=(OutputFormat.JPEG,))
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
            recipe=Recipe(),
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


@pytest.fixture
def environment(provisioned: Provisioned) -> Environment:
    return Environment(provisioned)


def test_upload_is_developed_stored_and_announced(environment: Environment) -> None:
    environment.handle(
        environment.upload("ann/1/my photo+1.jpg", RED, **{METADATA_NOTIFY: "ann@example.org"})
    )
    record = environment.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert record.status is ImageStatus.DEVELOPED
    assert record.source_keys == {"ann/1/my photo+1.jpg"}
    assert (record.facts["width"], record.facts["height"]) == (64, 48)
    assert {r.key for r in record.renditions} == environment.rendition_keys()
    for rendition in record.renditions:
        head = environment.s3.head_object(Bucket=environment.renditions, Key=rendition.key)
        assert head["ContentLength"] == rendition.bytes
        assert head["ContentType"] == f"image/{rendition.format}"
    (event,) = environment.events()
    assert event.type is ImageEventType.DEVELOPED
    assert (event.filename, event.recipient) == ("my photo+1.jpg", "ann@example.org")
    assert event.thumbnail_key in environment.rendition_keys()


def test_repeated_event_changes_and_announces_nothing(environment: Environment) -> None:
    body = environment.upload("ann/1/a.jpg", RED)
    environment.handle(body, body, body)
    assert len(environment.events()) == 1
    assert len(environment.images()) == 1


def test_upload_that_is_not_a_photo_is_rejected_with_reason(environment: Environment) -> None:
    environment.handle(environment.upload("ann/1/a.jpg", b"not a photo"))
    record = environment.catalog.image(OWNER, image_id(b"not a photo"))
    assert record is not None
    assert (record.status, record.reason) == (ImageStatus.REJECTED, "not-an-image")
    (event,) = environment.events()
    assert (event.type, event.reason) == (ImageEventType.REJECTED, "not-an-image")
    assert event.message == record.message
    assert environment.rendition_keys() == set()


def test_upload_over_byte_limit_is_rejected_without_reading_it(environment: Environment) -> None:
    body = environment.upload("ann/1/a.jpg", RED)
    processor = dataclasses.replace(environment.processor, limits=Limits(bytes_max=len(RED) - 1))
    processor.handle(Message("m", body, 1, False, time.monotonic() + 60))
    (event,) = environment.events()
    assert event.reason == "too-many-bytes"
    record = environment.catalog.image(OWNER, event.image_id)
    assert record is not None
    assert record.facts == {"bytes": len(RED)}


def test_deleted_original_deletes_renditions_and_record(environment: Environment) -> None:
    environment.handle(environment.upload("ann/1/a.jpg", RED))
    body = environment.delete("ann/1/a.jpg")
    environment.handle(body, body)
    assert environment.images() == []
    assert environment.rendition_keys() == set()
    kinds = {(event.type, event.id) for event in environment.events()}
    assert [kind for kind, _ in sorted(kinds)] == [
        ImageEventType.DELETED,
        ImageEventType.DEVELOPED,
    ]


def test_image_with_two_originals_is_deleted_with_the_last(environment: Environment) -> None:
    environment.handle(
        environment.upload("ann/1/a.jpg", RED), environment.upload("ann/2/b.jpg", RED)
    )
    assert len(environment.images()) == 1
    assert len({event.id for event in environment.events()}) == 2, "each upload is announced"
    environment.handle(environment.delete("ann/1/a.jpg"))
    assert len(environment.images()) == 1
    assert environment.rendition_keys()
    environment.handle(environment.delete("ann/2/b.jpg"))
    assert environment.images() == []
    assert environment.rendition_keys() == set()


def test_equal_content_of_two_owners_makes_two_images(environment: Environment) -> None:
    environment.handle(
        environment.upload("ann/1/a.jpg", RED), environment.upload("bob/1/a.jpg", RED)
    )
    environment.handle(environment.delete("ann/1/a.jpg"))
    assert environment.catalog.image("ann", image_id(RED)) is None
    assert environment.catalog.image("bob", image_id(RED)) is not None
    assert all(key.startswith("bob/") for key in environment.rendition_keys())


def test_removal_handled_before_creation_deletes_the_image(environment: Environment) -> None:
    created = environment.upload("ann/1/a.jpg", RED)
    removed = environment.delete("ann/1/a.jpg")
    environment.handle(removed, created)
    assert environment.images() == []
    assert environment.rendition_keys() == set()


def test_overwritten_original_in_any_order_has_the_new_image(environment: Environment) -> None:
    first, second = environment.upload("ann/1/a.jpg", RED), environment.upload("ann/1/a.jpg", BLUE)
    environment.handle(second, first, second)
    assert environment.catalog.image(OWNER, image_id(RED)) is None
    record = environment.catalog.image(OWNER, image_id(BLUE))
    assert record is not None
    assert record.settled
    assert {key.split("/")[1] for key in environment.rendition_keys()} == {image_id(BLUE)}


def test_overwritten_original_deletes_its_old_image(environment: Environment) -> None:
    environment.handle(environment.upload("ann/1/a.jpg", RED))
    environment.handle(environment.upload("ann/1/a.jpg", BLUE))
    assert [item["image_id"]["S"] for item in environment.images()] == [image_id(BLUE)]
    assert {key.split("/")[1] for key in environment.rendition_keys()} == {image_id(BLUE)}


def test_upload_after_deletion_is_developed_again(environment: Environment) -> None:
    environment.handle(environment.upload("ann/1/a.jpg", RED))
    removed = environment.delete("ann/1/a.jpg")
    again = environment.upload("ann/1/a.jpg", RED)
    environment.handle(removed, again, removed)
    record = environment.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert record.settled
    assert environment.rendition_keys()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_every_order_of_four_events_gives_the_same_state(
    environment: Environment, order: tuple[int, ...]
) -> None:
    """Red, deleted, blue, red again under one key: the last event counts."""
    bodies = [
        environment.upload("ann/1/a.jpg", RED),
        environment.delete("ann/1/a.jpg"),
        environment.upload("ann/1/a.jpg", BLUE),
        environment.upload("ann/1/a.jpg", RED),
    ]
    environment.handle(*(bodies[i] for i in order), *(bodies[i] for i in order))
    assert [item["image_id"]["S"] for item in environment.images()] == [image_id(RED)]
    assert {key.split("/")[1] for key in environment.rendition_keys()} == {image_id(RED)}
    source = environment.catalog.source(OWNER, "ann/1/a.jpg")
    assert source is not None
    assert (source.image_id, source.announced, source.stale_image_id) == (image_id(RED), True, None)


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


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_crash_at_any_call_is_repaired_by_redelivery(environment: Environment, after: bool) -> None:
    """Red is overwritten by blue, blue is deleted, red is uploaded under another key. The process
    crashes once at each AWS call, and the queue delivers the message again."""
    crash_at = 0
    while True:
        calls = itertools.count()

        def wrap(client: Any, calls: Iterator[int] = calls, at: int = crash_at) -> Any:
            return CrashingClient(client, calls, at, after)

        crashing = dataclasses.replace(
            environment.processor,
            recipe=SMALL,
            s3=wrap(environment.s3),
            sns=wrap(environment.processor.sns),
            catalog=Catalog(wrap(environment.catalog.dynamodb), environment.catalog.table),
        )
        key, other = f"ann/{crash_at}/a.jpg", f"ann/{crash_at}/b.jpg"
        environment.processor = dataclasses.replace(environment.processor, recipe=SMALL)
        crashes = 0
        steps = (
            (environment.upload, key, RED),
            (environment.upload, key, BLUE),
            (environment.delete, key),
            (environment.upload, other, RED),
        )
        for act, *arguments in steps:
            body = act(*arguments)
            message = Message("m", body, 1, False, time.monotonic() + 60)
            try:
                crashing.handle(message)
            except Crash:
                crashes += 1
                environment.handle(body)
        assert [item["image_id"]["S"] for item in environment.images()] == [image_id(RED)]
        assert {k.split("/")[1] for k in environment.rendition_keys()} == {image_id(RED)}
        announced = {(e.type, e.source_key) for e in environment.events()}
        assert (ImageEventType.DEVELOPED, other) in announced
        environment.handle(environment.delete(other))
        assert environment.images() == []
        assert environment.rendition_keys() == set()
        if crashes == 0:
            break
        crash_at += 1
    assert crash_at > 15, "expected more AWS calls"


def test_photo_that_crashes_the_process_repeatedly_is_rejected(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = environment.upload("ann/1/a.jpg", RED)

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(originals, "develop", crash)
        for _ in range(created.ATTEMPTS_BEFORE_REJECTION):
            with pytest.raises(Crash):
                environment.handle(body)
        environment.handle(body)
    record = environment.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert (record.status, record.reason) == (ImageStatus.REJECTED, created.FAILED_REPEATEDLY)


def test_exceptions_do_not_count_as_crashes(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = environment.upload("ann/1/a.jpg", RED)

    def fails(*_: Any) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(originals, "develop", fails)
        for _ in range(created.ATTEMPTS_BEFORE_REJECTION + 2):
            with pytest.raises(ConnectionError):
                environment.handle(body)
    environment.handle(body)
    record = environment.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert record.status is ImageStatus.DEVELOPED


def test_exception_on_last_receive_rejects_photo_and_announces_it(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = environment.upload("ann/1/a.jpg", RED)

    def fails(*_: Any) -> None:
        raise IndexError("an error of the project")

    monkeypatch.setattr(originals, "develop", fails)
    environment.processor.handle(Message("m", body, 5, True, time.monotonic() + 60))
    record = environment.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert (record.status, record.reason) == (ImageStatus.REJECTED, created.FAILED_REPEATEDLY)
    (event,) = environment.events()
    assert event.type is ImageEventType.REJECTED


def test_claim_of_image_in_deletion_raises_changed_meanwhile(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image of a crashed deletion can be claimed after the deletion's redelivery."""
    environment.handle(environment.upload("ann/1/a.jpg", RED))
    removed = environment.delete("ann/1/a.jpg")

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(ImageLifecycle, "end_deletion", crash)
        with pytest.raises(Crash):
            environment.handle(removed)
    again = environment.upload("ann/2/b.jpg", RED)
    with pytest.raises(ChangedMeanwhileError):
        environment.handle(again)
    environment.handle(removed)
    environment.handle(again)
    assert len(environment.images()) == 1
    assert environment.rendition_keys()


def run_after(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], None]) -> None:
    """Runs `act`, as another worker, right after the next call of `ImageLifecycle.step`."""
    original = getattr(ImageLifecycle, step)

    def interrupted(*arguments: Any) -> Any:
        answer = original(*arguments)
        monkeypatch.setattr(ImageLifecycle, step, original)
        act()
        return answer

    monkeypatch.setattr(ImageLifecycle, step, interrupted)


def test_image_claimed_again_during_finalize_is_not_detached(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red, blue, red under one key: the second red is handled before blue is finalized."""
    key = "ann/1/a.jpg"
    environment.handle(environment.upload(key, RED))
    blue = environment.upload(key, BLUE)
    run_after(
        monkeypatch, "_write_outcome", lambda: environment.handle(environment.upload(key, RED))
    )
    environment.handle(blue)
    assert [item["image_id"]["S"] for item in environment.images()] == [image_id(RED)]
    assert {k.split("/")[1] for k in environment.rendition_keys()} == {image_id(RED)}


def test_upload_during_removal_keeps_the_image(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "ann/1/a.jpg"
    environment.handle(environment.upload(key, RED))
    removed = environment.delete(key)
    run_after(
        monkeypatch, "write_tombstone", lambda: environment.handle(environment.upload(key, RED))
    )
    environment.handle(removed)
    assert [item["image_id"]["S"] for item in environment.images()] == [image_id(RED)]
    assert environment.rendition_keys()


def test_stale_image_of_crashed_worker_is_deleted_by_next_event(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red is overwritten by blue, whose worker crashes; green is handled before blue again."""
    key, green = "ann/1/a.jpg", photo("green")
    environment.handle(environment.upload(key, RED))
    blue = environment.upload(key, BLUE)

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(originals, "develop", crash)
        with pytest.raises(Crash):
            environment.handle(blue)
    environment.handle(environment.upload(key, green), blue)
    assert [item["image_id"]["S"] for item in environment.images()] == [image_id(green)]
    assert {k.split("/")[1] for k in environment.rendition_keys()} == {image_id(green)}


def test_location_is_stored_only_with_opt_in(environment: Environment) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "green").save(buffer, "JPEG", exif=exif)
    content = buffer.getvalue()
    for key, metadata in (("ann/1/a.jpg", {}), ("bob/1/a.jpg", {METADATA_KEEP_LOCATION: "true"})):
        environment.handle(environment.upload(key, content, **metadata))
    private = environment.catalog.image("ann", image_id(content))
    open_ = environment.catalog.image("bob", image_id(content))
    assert private is not None
    assert open_ is not None
    assert "location" not in private.facts
    assert open_.facts["location"]["latitude"] == pytest.approx(48.208333, abs=1e-5)
