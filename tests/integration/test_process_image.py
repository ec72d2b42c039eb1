"""process-image's job on a real S3, DynamoDB, SNS and SQS: duplicate, late and reordered events,
deletions, and a death between any two steps."""

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

from services.catalog import process_image
from services.catalog.model import METADATA_KEEP_LOCATION, METADATA_NOTIFY, ImageStatus, image_id
from services.catalog.process_image import PhotoProcessor
from services.catalog.store import Catalog, ChangedMeanwhileError
from services.events.images import ImageEvent, ImageEventType, parse_image_event
from services.imaging.model import Limits, OutputFormat, Recipe, RenditionSpec
from services.platform.functions.sqs import Message
from services.platform.manifest import Reference, Resource
from tests.integration.conftest import Provisioned

OWNER = "ann"


def photo(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


# Few renditions, so that a test that goes through every call has fewer to go through.
SMALL = Recipe(renditions=(RenditionSpec("thumb", 32),), formats=(OutputFormat.JPEG,))
RED, BLUE = photo("red"), photo("blue")


class Bench:
    """The job with its surroundings, and what a test wants to know of them."""

    def __init__(self, provisioned: Provisioned) -> None:
        session, made = provisioned.session, provisioned.lab
        self.s3, self.sqs = session.client("s3"), session.client("sqs")
        self.originals, self.renditions = made.bucket("originals"), made.bucket("renditions")
        self.queue = made.queues["process-image"].url
        topic = made.values[Reference(Resource.TOPIC, "image-events")]
        self.catalog = Catalog(session.client("dynamodb"), made.table("images"))
        self.processor = PhotoProcessor(
            s3=self.s3,
            sns=session.client("sns"),
            catalog=self.catalog,
            renditions_bucket=self.renditions,
            topic_arn=topic,
            recipe=Recipe(),
            limits=Limits(),
        )
        # Every image event, also those that no function of ours is subscribed to.
        self.heard = self.sqs.create_queue(QueueName=f"{self.originals}-heard")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.heard, AttributeNames=["QueueArn"])
        session.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        self.receive()  # S3's test event

    def receive(self) -> list[str]:
        """The bodies of all messages that wait for the job, in the order of their events."""
        return sorted(self._drain(self.queue), key=_sequencer)

    def events(self) -> list[ImageEvent]:
        return [parse_image_event(body) for body in self._drain(self.heard)]

    def _drain(self, url: str) -> list[str]:
        bodies = []
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
        """The one message that S3 sends about one change."""
        give_up_at = time.monotonic() + 5
        while not (bodies := self.receive()):
            assert time.monotonic() < give_up_at, "S3 sent no event"
            time.sleep(0.01)
        (body,) = bodies
        return body

    def upload(self, key: str, content: bytes, **metadata: str) -> str:
        """Uploads, and gives the message that S3 sent about it."""
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
def bench(provisioned: Provisioned) -> Bench:
    return Bench(provisioned)


def test_an_upload_is_developed_catalogued_and_announced(bench: Bench) -> None:
    bench.handle(bench.upload("ann/1/my photo+1.jpg", RED, **{METADATA_NOTIFY: "ann@example.org"}))
    record = bench.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert record.status is ImageStatus.DEVELOPED
    assert record.source_keys == {"ann/1/my photo+1.jpg"}
    assert (record.facts["width"], record.facts["height"]) == (64, 48)
    assert {r.key for r in record.renditions} == bench.rendition_keys()
    for rendition in record.renditions:
        head = bench.s3.head_object(Bucket=bench.renditions, Key=rendition.key)
        assert head["ContentLength"] == rendition.bytes
        assert head["ContentType"] == f"image/{rendition.format}"
    (event,) = bench.events()
    assert event.type is ImageEventType.DEVELOPED
    assert (event.filename, event.recipient) == ("my photo+1.jpg", "ann@example.org")
    assert event.thumbnail_key in bench.rendition_keys()


def test_a_repeated_event_changes_and_announces_nothing(bench: Bench) -> None:
    body = bench.upload("ann/1/a.jpg", RED)
    bench.handle(body, body, body)
    assert len(bench.events()) == 1
    assert len(bench.images()) == 1


def test_what_is_no_photo_is_rejected_with_its_reason(bench: Bench) -> None:
    bench.handle(bench.upload("ann/1/a.jpg", b"not a photo"))
    record = bench.catalog.image(OWNER, image_id(b"not a photo"))
    assert record is not None
    assert (record.status, record.reason) == (ImageStatus.REJECTED, "not-an-image")
    (event,) = bench.events()
    assert (event.type, event.reason) == (ImageEventType.REJECTED, "not-an-image")
    assert event.message == record.message
    assert bench.rendition_keys() == set()


def test_a_file_over_the_byte_limit_is_rejected_without_being_read(bench: Bench) -> None:
    body = bench.upload("ann/1/a.jpg", RED)
    processor = PhotoProcessor(
        **{**vars(bench.processor), "limits": Limits(bytes_max=len(RED) - 1)}
    )
    processor.handle(Message("m", body, 1, False, time.monotonic() + 60))
    (event,) = bench.events()
    assert event.reason == "too-many-bytes"
    record = bench.catalog.image(OWNER, event.image_id)
    assert record is not None
    assert record.facts == {"bytes": len(RED)}


def test_a_deleted_original_takes_renditions_and_record_along(bench: Bench) -> None:
    bench.handle(bench.upload("ann/1/a.jpg", RED))
    body = bench.delete("ann/1/a.jpg")
    bench.handle(body, body)
    assert bench.images() == []
    assert bench.rendition_keys() == set()
    kinds = {(event.type, event.id) for event in bench.events()}
    assert [kind for kind, _ in sorted(kinds)] == [
        ImageEventType.DELETED,
        ImageEventType.DEVELOPED,
    ]


def test_the_last_of_two_originals_with_one_content_takes_the_image(bench: Bench) -> None:
    bench.handle(bench.upload("ann/1/a.jpg", RED), bench.upload("ann/2/b.jpg", RED))
    assert len(bench.images()) == 1
    assert len({event.id for event in bench.events()}) == 2, "each upload is told"
    bench.handle(bench.delete("ann/1/a.jpg"))
    assert len(bench.images()) == 1
    assert bench.rendition_keys()
    bench.handle(bench.delete("ann/2/b.jpg"))
    assert bench.images() == []
    assert bench.rendition_keys() == set()


def test_owners_do_not_share_images(bench: Bench) -> None:
    bench.handle(bench.upload("ann/1/a.jpg", RED), bench.upload("bob/1/a.jpg", RED))
    bench.handle(bench.delete("ann/1/a.jpg"))
    assert bench.catalog.image("ann", image_id(RED)) is None
    assert bench.catalog.image("bob", image_id(RED)) is not None
    assert all(key.startswith("bob/") for key in bench.rendition_keys())


def test_a_removal_that_comes_before_its_creation_wins(bench: Bench) -> None:
    created = bench.upload("ann/1/a.jpg", RED)
    removed = bench.delete("ann/1/a.jpg")
    bench.handle(removed, created)
    assert bench.images() == []
    assert bench.rendition_keys() == set()


def test_an_overwritten_original_becomes_the_new_image_in_any_order(bench: Bench) -> None:
    first, second = bench.upload("ann/1/a.jpg", RED), bench.upload("ann/1/a.jpg", BLUE)
    bench.handle(second, first, second)
    assert bench.catalog.image(OWNER, image_id(RED)) is None
    record = bench.catalog.image(OWNER, image_id(BLUE))
    assert record is not None
    assert record.settled
    assert {key.split("/")[1] for key in bench.rendition_keys()} == {image_id(BLUE)}


def test_an_overwritten_original_takes_its_old_image_along(bench: Bench) -> None:
    bench.handle(bench.upload("ann/1/a.jpg", RED))
    bench.handle(bench.upload("ann/1/a.jpg", BLUE))
    assert [item["image_id"]["S"] for item in bench.images()] == [image_id(BLUE)]
    assert {key.split("/")[1] for key in bench.rendition_keys()} == {image_id(BLUE)}


def test_uploading_again_after_a_deletion_develops_again(bench: Bench) -> None:
    bench.handle(bench.upload("ann/1/a.jpg", RED))
    removed = bench.delete("ann/1/a.jpg")
    again = bench.upload("ann/1/a.jpg", RED)
    bench.handle(removed, again, removed)
    record = bench.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert record.settled
    assert bench.rendition_keys()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_every_order_of_four_changes_ends_the_same(bench: Bench, order: tuple[int, ...]) -> None:
    """Red, deleted, blue, red again under one key: the last change counts."""
    bodies = [
        bench.upload("ann/1/a.jpg", RED),
        bench.delete("ann/1/a.jpg"),
        bench.upload("ann/1/a.jpg", BLUE),
        bench.upload("ann/1/a.jpg", RED),
    ]
    bench.handle(*(bodies[i] for i in order), *(bodies[i] for i in order))
    assert [item["image_id"]["S"] for item in bench.images()] == [image_id(RED)]
    assert {key.split("/")[1] for key in bench.rendition_keys()} == {image_id(RED)}
    source = bench.catalog.source(OWNER, "ann/1/a.jpg")
    assert source is not None
    assert (source.image_id, source.announced, source.stale_image_id) == (image_id(RED), True, None)


class Crash(BaseException):
    """The process is gone: nothing after it runs, no handler catches it."""


class Dying:
    """Wraps an AWS client; the process dies before or after its n-th call of the run."""

    def __init__(self, client: Any, calls: Iterator[int], dies_at: int, after: bool) -> None:
        self._client, self._calls, self._dies_at, self._after = client, calls, dies_at, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in ("exceptions", "get_paginator"):
            return found

        def call(**arguments: Any) -> Any:
            mine = next(self._calls) == self._dies_at
            if mine and not self._after:
                raise Crash
            answer = found(**arguments)
            if mine:
                raise Crash
            return answer

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_any_call_is_healed_by_the_redelivery(bench: Bench, after: bool) -> None:
    """Red is overwritten by blue, blue is deleted, red comes back under another key: at each AWS
    call on the way the process dies once, and the queue delivers the message again."""
    dies_at = 0
    while True:
        calls = itertools.count()

        def wrap(client: Any, calls: Iterator[int] = calls, at: int = dies_at) -> Any:
            return Dying(client, calls, at, after)

        dying = PhotoProcessor(
            **{
                **vars(bench.processor),
                "recipe": SMALL,
                "s3": wrap(bench.s3),
                "sns": wrap(bench.processor.sns),
                "catalog": Catalog(wrap(bench.catalog.dynamodb), bench.catalog.table),
            }
        )
        key, other = f"ann/{dies_at}/a.jpg", f"ann/{dies_at}/b.jpg"
        bench.processor = dataclasses.replace(bench.processor, recipe=SMALL)
        deaths = 0
        steps = (
            (bench.upload, key, RED),
            (bench.upload, key, BLUE),
            (bench.delete, key),
            (bench.upload, other, RED),
        )
        for act, *arguments in steps:
            body = act(*arguments)
            message = Message("m", body, 1, False, time.monotonic() + 60)
            try:
                dying.handle(message)
            except Crash:
                deaths += 1
                bench.handle(body)
        assert [item["image_id"]["S"] for item in bench.images()] == [image_id(RED)]
        assert {k.split("/")[1] for k in bench.rendition_keys()} == {image_id(RED)}
        told = {(e.type, e.source_key) for e in bench.events()}
        assert (ImageEventType.DEVELOPED, other) in told
        bench.handle(bench.delete(other))
        assert bench.images() == []
        assert bench.rendition_keys() == set()
        if deaths == 0:
            break
        dies_at += 1
    assert dies_at > 15, "the way has more calls than this"


def test_a_photo_that_ends_the_process_again_and_again_is_rejected(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bench.upload("ann/1/a.jpg", RED)

    def dies(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(process_image, "develop", dies)
        for _ in range(process_image.ATTEMPTS_BEFORE_REJECTION):
            with pytest.raises(Crash):
                bench.handle(body)
        bench.handle(body)
    record = bench.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert (record.status, record.reason) == (ImageStatus.REJECTED, process_image.FAILED_REPEATEDLY)


def test_errors_that_the_process_outlives_do_not_count_against_the_photo(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = bench.upload("ann/1/a.jpg", RED)

    def fails(*_: Any) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as patched:
        patched.setattr(process_image, "develop", fails)
        for _ in range(process_image.ATTEMPTS_BEFORE_REJECTION + 2):
            with pytest.raises(ConnectionError):
                bench.handle(body)
    bench.handle(body)
    record = bench.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert record.status is ImageStatus.DEVELOPED


def test_an_image_that_is_being_deleted_cannot_be_claimed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that died in a deletion left the mark: others wait for its redelivery."""
    bench.handle(bench.upload("ann/1/a.jpg", RED))
    removed = bench.delete("ann/1/a.jpg")

    def dies(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(Catalog, "end_deletion", dies)
        with pytest.raises(Crash):
            bench.handle(removed)
    again = bench.upload("ann/2/b.jpg", RED)
    with pytest.raises(ChangedMeanwhileError):
        bench.handle(again)
    bench.handle(removed)
    bench.handle(again)
    assert len(bench.images()) == 1
    assert bench.rendition_keys()


def meanwhile(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], None]) -> None:
    """Lets another worker `act` right after the catalogue's next `step`."""
    original = getattr(Catalog, step)

    def interrupted(*arguments: Any) -> Any:
        answer = original(*arguments)
        monkeypatch.setattr(Catalog, step, original)
        act()
        return answer

    monkeypatch.setattr(Catalog, step, interrupted)


def test_an_image_that_came_back_is_not_let_go_by_a_slower_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red, blue, red under one key: the second red overtakes blue's worker in its last step."""
    key = "ann/1/a.jpg"
    bench.handle(bench.upload(key, RED))
    blue = bench.upload(key, BLUE)
    meanwhile(monkeypatch, "settle", lambda: bench.handle(bench.upload(key, RED)))
    bench.handle(blue)
    assert [item["image_id"]["S"] for item in bench.images()] == [image_id(RED)]
    assert {k.split("/")[1] for k in bench.rendition_keys()} == {image_id(RED)}


def test_an_upload_that_overtakes_a_removal_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "ann/1/a.jpg"
    bench.handle(bench.upload(key, RED))
    removed = bench.delete(key)
    meanwhile(monkeypatch, "bury", lambda: bench.handle(bench.upload(key, RED)))
    bench.handle(removed)
    assert [item["image_id"]["S"] for item in bench.images()] == [image_id(RED)]
    assert bench.rendition_keys()


def test_an_image_that_a_dead_worker_had_yet_to_let_go_is_not_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red is overwritten by blue, whose worker dies; green overtakes the redelivery of blue."""
    key, green = "ann/1/a.jpg", photo("green")
    bench.handle(bench.upload(key, RED))
    blue = bench.upload(key, BLUE)

    def dies(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(process_image, "develop", dies)
        with pytest.raises(Crash):
            bench.handle(blue)
    bench.handle(bench.upload(key, green), blue)
    assert [item["image_id"]["S"] for item in bench.images()] == [image_id(green)]
    assert {k.split("/")[1] for k in bench.rendition_keys()} == {image_id(green)}


def test_the_position_is_kept_only_where_the_owner_opted_in(bench: Bench) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "green").save(buffer, "JPEG", exif=exif)
    content = buffer.getvalue()
    for key, metadata in (("ann/1/a.jpg", {}), ("bob/1/a.jpg", {METADATA_KEEP_LOCATION: "true"})):
        bench.handle(bench.upload(key, content, **metadata))
    private = bench.catalog.image("ann", image_id(content))
    open_ = bench.catalog.image("bob", image_id(content))
    assert private is not None
    assert open_ is not None
    assert "location" not in private.facts
    assert open_.facts["location"]["latitude"] == pytest.approx(48.208333, abs=1e-5)
