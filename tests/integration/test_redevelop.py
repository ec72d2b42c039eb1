"""Images that are developed again because their recipe changed: the command's work and
process-image on a real S3, DynamoDB, SNS and SQS."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.catalog import originals
from services.catalog.add_avif import AddAvif
from services.catalog.lifecycle import ChangedMeanwhileError
from services.catalog.model import (
    METADATA_NOTIFY,
    METADATA_RECIPE,
    ImageRecord,
    ImageStatus,
    image_id,
)
from services.catalog.store import Catalog
from services.events.images import ImageEventType
from services.events.redevelopment import RedevelopmentRequest
from services.imaging.isolation import develop
from services.imaging.model import (
    Limits,
    OutputFormat,
    PhotoRejected,
    Recipe,
    RejectionReason,
    RenditionSpec,
)
from services.imaging.recipes import Recipes
from services.operations.redevelopment import Redevelopment, Selection
from services.platform.functions.sqs import Message
from tests.integration.conftest import Provisioned
from tests.integration.process_image.support import (
    BLUE,
    OWNER,
    RED,
    Crash,
    CrashingClient,
    Environment,
    photo,
)
from tests.support.waiting import eventually

OLD = Recipe(renditions=(RenditionSpec("thumb", 32),), formats=(OutputFormat.JPEG,))
NEW = dataclasses.replace(OLD, renditions=(RenditionSpec("small", 24),))
WITH_AVIF = dataclasses.replace(NEW, formats=(OutputFormat.JPEG, OutputFormat.AVIF))
OTHER = dataclasses.replace(OLD, jpeg_quality=50)
KEY = "ann/1/a.jpg"
# So many that no test waits.
RATE = 100_000.0


class RedevelopmentEnvironment(Environment):
    """process-image, the queues of add-avif and send-image-email, and the work of the command."""

    def __init__(self, provisioned: Provisioned, folder: Path) -> None:
        super().__init__(provisioned)
        self.avif_queue = provisioned.lab.queues["add-avif"].url
        self.email_queue = provisioned.lab.queues["send-image-email"].url
        self.folder = folder
        self.set_recipes(OLD)

    def set_recipes(self, default: Recipe, **others: Recipe) -> None:
        recipes = Recipes({"standard": default, **others}, "standard")
        self.processor = dataclasses.replace(self.processor, recipes=recipes)

    def work(self, **selection: Any) -> Redevelopment:
        return Redevelopment(
            catalog=self.catalog,
            sqs=self.sqs,
            queue_url=self.queue,
            originals_bucket=self.originals,
            recipes=self.processor.recipes,
            selection=Selection(**selection),
            state_folder=self.folder,
        )

    def bodies(self) -> list[str]:
        return self._drain(self.queue)

    def record(self, content: bytes = RED, owner: str = OWNER) -> ImageRecord:
        found = self.catalog.image(owner, image_id(content))
        assert found is not None
        return found

    def waiting(self, queue: str) -> list[str]:
        return self._drain(queue)


def message(body: str, receive_count: int = 1) -> Message:
    return Message("m", body, receive_count, False, time.monotonic() + 60)


@pytest.fixture
def environment(provisioned: Provisioned, tmp_path: Path) -> RedevelopmentEnvironment:
    return RedevelopmentEnvironment(provisioned, tmp_path / "state")


def test_changed_recipe_replaces_the_renditions_and_sends_no_email(
    environment: RedevelopmentEnvironment,
) -> None:
    environment.handle(environment.upload(KEY, RED, **{METADATA_NOTIFY: "ann@example.org"}))
    eventually(lambda: environment.waiting(environment.email_queue), "the upload's e-mail")
    environment.events()
    before = environment.record()
    environment.set_recipes(NEW)
    done = environment.work().run(RATE)
    assert (done.sent, done.current, done.finished) == (1, 0, True)
    environment.handle(*environment.bodies())
    after = environment.record()
    assert (after.recipe, [r.name for r in after.renditions]) == (NEW.version, ["small"])
    assert {r.key for r in after.renditions} == environment.rendition_keys()
    assert (after.facts, after.listed_at) == (before.facts, before.listed_at)
    (event,) = eventually(environment.events, "the event", pause_seconds=0.01)
    assert (event.type, event.recipient) == (ImageEventType.REDEVELOPED, None)
    assert environment.waiting(environment.email_queue) == []


def test_images_of_the_current_recipe_are_left_alone(
    environment: RedevelopmentEnvironment,
) -> None:
    environment.handle(environment.upload(KEY, RED))
    done = environment.work().run(RATE)
    assert (done.examined, done.sent, done.current) == (1, 0, 1)
    assert environment.bodies() == []


def test_request_that_comes_twice_is_done_once(
    environment: RedevelopmentEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.handle(environment.upload(KEY, RED))
    environment.set_recipes(NEW)
    environment.work().run(RATE)
    (body,) = environment.bodies()
    environment.handle(body)
    monkeypatch.setattr(originals, "develop", _fails)
    environment.handle(body)


def test_avif_is_added_after_an_image_was_developed_again(
    environment: RedevelopmentEnvironment,
) -> None:
    environment.handle(environment.upload(KEY, RED))
    environment.set_recipes(WITH_AVIF)
    environment.work().run(RATE)
    environment.handle(*environment.bodies())
    (body,) = eventually(lambda: environment.waiting(environment.avif_queue), "the message")
    adder = AddAvif(
        s3=environment.s3,
        catalog=environment.catalog,
        originals_bucket=environment.originals,
        renditions_bucket=environment.renditions,
        recipes=environment.processor.recipes,
        limits=Limits(),
    )
    adder.handle(message(body))
    record = environment.record()
    assert [(r.name, r.format) for r in record.renditions] == [("small", "jpeg"), ("small", "avif")]
    assert {r.key for r in record.renditions} == environment.rendition_keys()


def test_upload_that_chose_a_recipe_follows_that_one(
    environment: RedevelopmentEnvironment,
) -> None:
    environment.set_recipes(OLD, other=OTHER)
    environment.handle(environment.upload(KEY, RED, **{METADATA_RECIPE: "other"}))
    environment.handle(environment.upload("ann/2/b.jpg", BLUE))
    environment.set_recipes(NEW, other=OTHER)
    assert environment.work(recipe="other").run(RATE, dry_run=True).current == 1
    assert environment.work().run(RATE).sent == 1
    environment.handle(*environment.bodies())
    assert environment.record(BLUE).recipe == NEW.version
    assert environment.record(RED).recipe == OTHER.version


def test_selection_limits_owner_and_time(environment: RedevelopmentEnvironment) -> None:
    environment.handle(environment.upload(KEY, RED))
    environment.handle(environment.upload("bob/1/a.jpg", RED))
    environment.set_recipes(NEW)
    now = datetime.now(UTC)

    def counted(**selection: Any) -> int:
        return environment.work(**selection).run(RATE, dry_run=True).sent

    assert counted() == 2
    assert counted(owner="bob") == 1
    assert counted(owner="zoe") == 0
    assert counted(before=now - timedelta(hours=1)) == 0
    assert counted(owner="ann", before=now + timedelta(hours=1)) == 1
    assert environment.bodies() == []


class BrokenSqs:
    """Takes the first groups of messages, then fails."""

    def __init__(self, sqs: Any, groups: int) -> None:
        self._sqs, self._groups = sqs, groups

    def send_message_batch(self, **arguments: Any) -> Any:
        if self._groups == 0:
            raise ConnectionError
        self._groups -= 1
        return self._sqs.send_message_batch(**arguments)


def test_interrupted_run_goes_on_where_it_ended(environment: RedevelopmentEnvironment) -> None:
    contents = [photo("red", (40 + i, 30)) for i in range(25)]
    for number, content in enumerate(contents):
        environment.handle(environment.upload(f"ann/{number}/a.jpg", content))
    environment.set_recipes(NEW)
    work = environment.work()
    with pytest.raises(ConnectionError):
        dataclasses.replace(work, sqs=BrokenSqs(environment.sqs, 2)).run(RATE)
    assert len(first := environment.bodies()) == 20
    done = work.run(RATE)
    assert (done.examined, done.sent, done.finished) == (25, 25, True)
    assert len(second := environment.bodies()) == 5
    assert len(set(first + second)) == 25
    assert list(environment.folder.iterdir()) == []
    assert work.run(RATE).sent == 25, "a finished run begins anew"


def test_deleted_hidden_and_overwritten_photos_are_skipped(
    environment: RedevelopmentEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.handle(environment.upload(KEY, RED))
    environment.set_recipes(NEW)
    environment.work().run(RATE)
    (body,) = environment.bodies()
    monkeypatch.setattr(originals, "develop", _fails)
    environment.catalog.hide(OWNER, image_id(RED))
    environment.handle(body)
    environment.handle(environment.delete(KEY))
    environment.handle(body)
    assert environment.rendition_keys() == set()


def test_photo_that_is_rejected_now_keeps_its_renditions(
    environment: RedevelopmentEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.handle(environment.upload(KEY, RED))
    before = environment.record()
    environment.set_recipes(NEW)
    environment.work().run(RATE)

    def reject(*_: Any) -> None:
        raise PhotoRejected(RejectionReason.TOO_EXPENSIVE, "It takes too long.")

    monkeypatch.setattr(originals, "develop", reject)
    environment.handle(*environment.bodies())
    assert environment.record() == before
    assert before.status is ImageStatus.DEVELOPED


def test_upload_with_another_recipe_meanwhile_wins(
    environment: RedevelopmentEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.handle(environment.upload(KEY, RED))
    environment.set_recipes(NEW, other=OTHER)
    environment.work().run(RATE)
    (body,) = environment.bodies()
    second = environment.upload("ann/2/b.jpg", RED, **{METADATA_RECIPE: "other"})

    def interleaved(*arguments: Any) -> Any:
        monkeypatch.setattr(originals, "develop", develop)
        environment.handle(second)
        return develop(*arguments)

    monkeypatch.setattr(originals, "develop", interleaved)
    with pytest.raises(ChangedMeanwhileError):
        environment.handle(body)
    environment.processor.handle(message(body, receive_count=2))
    record = environment.record()
    assert (record.recipe_name, record.recipe) == ("other", OTHER.version)
    assert {r.key for r in record.renditions} <= environment.rendition_keys()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_crash_at_any_call_is_repaired_by_redelivery(
    environment: RedevelopmentEnvironment, after: bool
) -> None:
    for crash_at in itertools.count():
        key = f"ann/{crash_at}/a.jpg"
        environment.set_recipes(OLD)
        environment.handle(environment.upload(key, RED))
        environment.set_recipes(WITH_AVIF)
        body = RedevelopmentRequest(environment.originals, OWNER, image_id(RED), key).encode()
        calls = itertools.count()

        def wrap(client: Any, calls: Iterator[int] = calls, at: int = crash_at) -> Any:
            return CrashingClient(client, calls, at, after)

        crashing = dataclasses.replace(
            environment.processor,
            s3=wrap(environment.s3),
            sns=wrap(environment.processor.sns),
            catalog=Catalog(wrap(environment.catalog.dynamodb), environment.catalog.table),
        )
        environment.events()
        crashed = False
        try:
            crashing.handle(message(body))
        except Crash:
            crashed = True
            environment.processor.handle(message(body, receive_count=2))
        record = environment.record()
        assert (record.recipe, [r.name for r in record.renditions]) == (
            WITH_AVIF.version,
            ["small"],
        )
        events = eventually(environment.events, "the event", pause_seconds=0.01)
        assert len({event.id for event in events}) == 1
        environment.handle(environment.delete(key))
        assert environment.images() == []
        assert environment.rendition_keys() == set()
        if not crashed:
            break
    assert crash_at >= 6, "two reads, one download, one upload, one write and the event"


def _fails(*_: Any) -> None:
    raise AssertionError("expected no development")
