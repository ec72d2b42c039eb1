"""add-avif on a real S3, DynamoDB, SNS and SQS: the pass after process-image, deleted and changed
photos, repeated events, and a crash between any two steps."""

from __future__ import annotations

import dataclasses
import io
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from services.catalog import originals
from services.catalog.add_avif import AddAvif, OtherRecipeError
from services.catalog.model import (
    METADATA_KEEP_LOCATION,
    METADATA_RECIPE,
    ImageRecord,
    ImageStatus,
    image_id,
)
from services.catalog.store import Catalog
from services.imaging.isolation import develop
from services.imaging.model import (
    Limits,
    OutputFormat,
    PhotoRejected,
    Recipe,
    RejectionReason,
    RenditionSpec,
)
from services.imaging.recipes import Recipes, only
from services.platform.functions.sqs import Message
from tests.integration.conftest import Provisioned
from tests.integration.process_image.support import (
    BLUE,
    OWNER,
    RED,
    Crash,
    CrashingClient,
    Environment,
)
from tests.support.waiting import eventually

RECIPE = Recipe(
    renditions=(RenditionSpec("thumb", 32), RenditionSpec("medium", 48)),
    formats=(OutputFormat.JPEG, OutputFormat.AVIF),
)
KEY = "ann/1/a.jpg"


class AvifEnvironment(Environment):
    """process-image and add-avif with one recipe that has AVIF."""

    def __init__(self, provisioned: Provisioned) -> None:
        super().__init__(provisioned)
        self.processor = dataclasses.replace(self.processor, recipes=only(RECIPE))
        self.avif_queue = provisioned.lab.queues["add-avif"].url
        self.adder = AddAvif(
            s3=self.s3,
            catalog=self.catalog,
            originals_bucket=self.originals,
            renditions_bucket=self.renditions,
            recipes=only(RECIPE),
            limits=Limits(),
        )

    def develop(self, key: str, content: bytes) -> str:
        """Uploads a photo, develops it, and returns the message for add-avif."""
        self.handle(self.upload(key, content))
        (body,) = eventually(self.avif_messages, "SNS delivers", pause_seconds=0.01)
        return body

    def avif_messages(self) -> list[str]:
        return self._drain(self.avif_queue)

    def add(self, *bodies: str) -> None:
        for body in bodies:
            self.adder.handle(message(body))

    def record(self, content: bytes) -> ImageRecord:
        found = self.catalog.image(OWNER, image_id(content))
        assert found is not None
        return found


def message(body: str) -> Message:
    return Message("m", body, 1, False, time.monotonic() + 60)


def formats(record: ImageRecord) -> list[tuple[str, str]]:
    return [(r.name, r.format) for r in record.renditions]


JPEGS = [("thumb", "jpeg"), ("medium", "jpeg")]
AVIFS = [("thumb", "avif"), ("medium", "avif")]


@pytest.fixture
def environment(provisioned: Provisioned) -> AvifEnvironment:
    return AvifEnvironment(provisioned)


def test_avif_is_added_after_the_photo_was_developed(environment: AvifEnvironment) -> None:
    body = environment.develop(KEY, RED)
    before = environment.record(RED)
    assert (before.status, formats(before)) == (ImageStatus.DEVELOPED, JPEGS)
    environment.add(body)
    after = environment.record(RED)
    assert formats(after) == JPEGS + AVIFS
    assert dataclasses.replace(after, renditions=before.renditions) == before
    assert {r.key for r in after.renditions} == environment.rendition_keys()
    for rendition in after.renditions[2:]:
        answer = environment.s3.get_object(Bucket=environment.renditions, Key=rendition.key)
        content = answer["Body"].read()
        assert (answer["ContentType"], len(content)) == ("image/avif", rendition.bytes)
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.size) == ("AVIF", (rendition.width, rendition.height))


def test_recipe_without_avif_sends_no_message_to_add_avif(environment: AvifEnvironment) -> None:
    environment.processor = dataclasses.replace(environment.processor, recipes=only(Recipe()))
    environment.handle(environment.upload(KEY, RED))
    (event,) = eventually(environment.events, "the event", pause_seconds=0.01)
    assert event.pending is None
    attributes = environment.sqs.get_queue_attributes(
        QueueUrl=environment.avif_queue, AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_repeated_event_adds_avif_once(
    environment: AvifEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = environment.develop(KEY, RED)
    environment.add(body)
    added = environment.record(RED)
    monkeypatch.setattr(originals, "develop", _fails)
    environment.add(body)
    assert environment.record(RED) == added


def test_photo_deleted_before_the_pass_stays_deleted(environment: AvifEnvironment) -> None:
    body = environment.develop(KEY, RED)
    environment.handle(environment.delete(KEY))
    environment.add(body)
    assert environment.images() == []
    assert environment.rendition_keys() == set()


def test_photo_hidden_by_its_owner_gets_no_avif(environment: AvifEnvironment) -> None:
    body = environment.develop(KEY, RED)
    environment.catalog.hide(OWNER, image_id(RED))
    environment.add(body)
    assert formats(environment.record(RED)) == JPEGS


def test_photo_deleted_during_the_encoding_leaves_no_rendition(
    environment: AvifEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = environment.develop(KEY, RED)

    def delete_meanwhile(*arguments: Any) -> Any:
        environment.handle(environment.delete(KEY))
        return develop(*arguments)

    monkeypatch.setattr(originals, "develop", delete_meanwhile)
    environment.add(body)
    assert environment.images() == []
    assert environment.rendition_keys() == set()


def test_rendition_that_a_crash_left_of_a_deleted_photo_is_deleted(
    environment: AvifEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photo is deleted during the encoding, and the process crashes after the upload of the
    renditions; the queue delivers the message again."""
    body = environment.develop(KEY, RED)

    def delete_meanwhile(*arguments: Any) -> Any:
        environment.handle(environment.delete(KEY))
        return develop(*arguments)

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(originals, "develop", delete_meanwhile)
        patched.setattr("services.catalog.lifecycle.ImageLifecycle.add_renditions", crash)
        with pytest.raises(Crash):
            environment.add(body)
    assert environment.rendition_keys(), "expected renditions of the deleted photo"
    environment.add(body)
    assert environment.images() == []
    assert environment.rendition_keys() == set()


def test_overwritten_photo_gets_avif_of_its_new_content_only(environment: AvifEnvironment) -> None:
    red = environment.develop(KEY, RED)
    blue = environment.develop(KEY, BLUE)
    environment.add(red, blue, red)
    assert formats(environment.record(BLUE)) == JPEGS + AVIFS
    assert {r.key for r in environment.record(BLUE).renditions} == environment.rendition_keys()


def test_photo_uploaded_again_after_deletion_ignores_the_first_event(
    environment: AvifEnvironment,
) -> None:
    first = environment.develop(KEY, RED)
    environment.handle(environment.delete(KEY))
    second = environment.develop(KEY, RED)
    environment.add(first)
    assert formats(environment.record(RED)) == JPEGS
    environment.add(second)
    assert formats(environment.record(RED)) == JPEGS + AVIFS


def test_image_of_another_recipe_raises_other_recipe_error(environment: AvifEnvironment) -> None:
    body = environment.develop(KEY, RED)
    adder = dataclasses.replace(
        environment.adder, recipes=only(dataclasses.replace(RECIPE, avif_quality=30))
    )
    with pytest.raises(OtherRecipeError, match=RECIPE.version):
        adder.handle(message(body))
    assert formats(environment.record(RED)) == JPEGS


def test_avif_follows_the_recipe_that_the_upload_chose(environment: AvifEnvironment) -> None:
    recipes = Recipes({"small": RECIPE, "none": Recipe()}, "none")
    environment.processor = dataclasses.replace(environment.processor, recipes=recipes)
    environment.adder = dataclasses.replace(environment.adder, recipes=recipes)
    environment.handle(environment.upload("ann/2/b.jpg", BLUE))
    environment.handle(environment.upload(KEY, RED, **{METADATA_RECIPE: "small"}))
    (body,) = eventually(environment.avif_messages, "SNS delivers", pause_seconds=0.01)
    environment.add(body)
    assert formats(environment.record(RED)) == JPEGS + AVIFS
    assert OutputFormat.AVIF not in {r.format for r in environment.record(BLUE).renditions}


def test_second_upload_keeps_avif_of_the_same_recipe(environment: AvifEnvironment) -> None:
    """The photo is developed again for its location; its AVIF renditions are the same."""
    body = environment.develop(KEY, RED)
    environment.add(body)
    second = environment.upload("ann/2/b.jpg", RED, **{METADATA_KEEP_LOCATION: "true"})
    environment.handle(second)
    record = environment.record(RED)
    assert formats(record) == JPEGS + AVIFS
    assert {r.key for r in record.renditions} == environment.rendition_keys()


def test_photo_that_is_too_expensive_as_avif_stays_developed(
    environment: AvifEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = environment.develop(KEY, RED)

    def reject(*_: Any) -> None:
        raise PhotoRejected(RejectionReason.TOO_EXPENSIVE, "It takes too long.")

    monkeypatch.setattr(originals, "develop", reject)
    environment.add(body)
    record = environment.record(RED)
    assert (record.status, record.reason, formats(record)) == (ImageStatus.DEVELOPED, None, JPEGS)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_crash_at_any_call_is_repaired_by_redelivery(
    environment: AvifEnvironment, after: bool
) -> None:
    for crash_at in itertools.count():
        key = f"ann/{crash_at}/a.jpg"
        body = environment.develop(key, RED)
        calls = itertools.count()

        def wrap(client: Any, calls: Iterator[int] = calls, at: int = crash_at) -> Any:
            return CrashingClient(client, calls, at, after)

        crashing = dataclasses.replace(
            environment.adder,
            s3=wrap(environment.s3),
            catalog=Catalog(wrap(environment.catalog.dynamodb), environment.catalog.table),
        )
        crashed = False
        try:
            crashing.handle(message(body))
        except Crash:
            crashed = True
            environment.add(body)
        record = environment.record(RED)
        assert formats(record) == JPEGS + AVIFS
        assert {r.key for r in record.renditions} == environment.rendition_keys()
        environment.handle(environment.delete(key))
        assert environment.images() == []
        assert environment.rendition_keys() == set()
        if not crashed:
            break
    assert crash_at == 6, "two reads, one download, two uploads and one write"


def _fails(*_: Any) -> None:
    raise AssertionError("expected no development")
