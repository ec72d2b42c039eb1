"""Upload forms that are posted more than once, on a real S3."""

from __future__ import annotations

import itertools

import pytest

from services.catalog.model import METADATA_SINGLE_USE, ImageStatus, image_id
from services.events.storage import backfill_event
from tests.integration.process_image.support import BLUE, OWNER, RED, Environment

KEY = "ann/1/a.jpg"
SINGLE_USE = {METADATA_SINGLE_USE: "true"}


def test_replay_after_deletion_brings_nothing_back(environment: Environment) -> None:
    environment.handle(environment.post(KEY, RED, **SINGLE_USE))
    environment.handle(environment.delete(KEY))
    environment.events()
    replayed = environment.post(KEY, RED, **SINGLE_USE)
    environment.handle(replayed, replayed, *environment.receive())
    environment.handle(*environment.receive())
    assert environment.images() == []
    assert environment.rendition_keys() == set()
    assert len(environment.versions(KEY)) == 1  # the deleted one, until its lifecycle ends
    with pytest.raises(environment.s3.exceptions.ClientError):
        environment.s3.head_object(Bucket=environment.originals, Key=KEY)


@pytest.mark.parametrize("content", [RED, BLUE])
def test_replay_after_development_changes_nothing(environment: Environment, content: bytes) -> None:
    environment.handle(environment.post(KEY, RED, **SINGLE_USE))
    before = environment.catalog.source(OWNER, KEY), environment.images()
    environment.events()
    environment.handle(environment.post(KEY, content, **SINGLE_USE))
    environment.handle(*environment.receive())
    assert (environment.catalog.source(OWNER, KEY), environment.images()) == before
    assert environment.events() == []
    found = environment.s3.get_object(Bucket=environment.originals, Key=KEY)
    assert found["Body"].read() == RED
    assert len(environment.versions(KEY)) == 1


def test_two_uploads_in_any_order_of_their_events_develop_one_photo(
    environment: Environment,
) -> None:
    for number, order in enumerate(itertools.permutations(range(2))):
        key = f"ann/{number}/a.jpg"
        bodies = [environment.post(key, RED, **SINGLE_USE) for _ in range(2)]
        environment.handle(*(bodies[i] for i in order))
        environment.handle(*environment.receive())
        source = environment.catalog.source(OWNER, key)
        assert source is not None
        assert source.announced
        assert not source.removed
        assert [event.image_id for event in environment.events()] == [image_id(RED)]
    (record,) = environment.catalog.images(OWNER, [image_id(RED)])
    assert record.status is ImageStatus.DEVELOPED


def test_upload_whose_event_comes_after_a_backfill_stays(environment: Environment) -> None:
    own = environment.post(KEY, RED, **SINGLE_USE)
    (found,) = environment.s3.list_objects_v2(Bucket=environment.originals)["Contents"]
    backfilled = backfill_event(
        environment.originals, KEY, found["Size"], found["ETag"].strip('"'), found["LastModified"]
    )
    environment.handle(backfilled, own)
    environment.handle(*environment.receive())
    source = environment.catalog.source(OWNER, KEY)
    assert source is not None
    assert source.announced
    assert not source.removed
    images = environment.images()
    assert [image["status"] for image in images] == [{"S": ImageStatus.DEVELOPED}]
    assert len(environment.versions(KEY)) == 1
    # Now its form was used: as in any other upload, nothing changes it.
    environment.handle(environment.post(KEY, BLUE, **SINGLE_USE))
    assert environment.catalog.source(OWNER, KEY) == source
    assert environment.images() == images


def test_upload_and_copy_without_a_form_replace_the_original(environment: Environment) -> None:
    environment.handle(environment.post(KEY, RED, **SINGLE_USE))
    environment.handle(environment.upload(KEY, BLUE, **SINGLE_USE))
    source = environment.catalog.source(OWNER, KEY)
    assert source is not None
    assert source.image_id == image_id(BLUE)


def test_posted_form_that_is_not_for_single_use_replaces_the_original(
    environment: Environment,
) -> None:
    environment.handle(environment.post(KEY, RED))
    environment.handle(environment.post(KEY, BLUE))
    source = environment.catalog.source(OWNER, KEY)
    assert source is not None
    assert source.image_id == image_id(BLUE)
