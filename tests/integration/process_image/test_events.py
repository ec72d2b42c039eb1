"""process-image on a real S3, DynamoDB, SNS and SQS: duplicate, late and reordered events,
deletions, and a crash between any two steps."""

from __future__ import annotations

import dataclasses
import itertools
import time
from urllib.parse import quote

import pytest

from services.catalog.model import (
    METADATA_NOTIFY,
    METADATA_NOTIFY_NAME,
    METADATA_ON_WEBSITE,
    ImageStatus,
    image_id,
)
from services.events.images import ImageEventType
from services.imaging.model import Limits
from services.platform.functions.sqs import Message
from tests.integration.process_image.support import BLUE, OWNER, RED, Environment


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


def test_event_has_the_name_and_the_origin_of_the_upload(environment: Environment) -> None:
    metadata = {
        METADATA_NOTIFY: "ann@example.org",
        METADATA_NOTIFY_NAME: quote("Änn 李"),
        METADATA_ON_WEBSITE: "true",
    }
    environment.handle(
        environment.upload("ann/1/a.jpg", RED, **metadata),
        environment.upload("ann/1/b.jpg", BLUE),
    )
    named, other = sorted(environment.events(), key=lambda event: event.filename)
    assert (named.recipient_name, named.on_website) == ("Änn 李", True)
    assert (other.recipient_name, other.on_website) == (None, None)


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
