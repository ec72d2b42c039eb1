"""Photos that were in the bucket before: the command's work and process-image on a real S3,
DynamoDB, SNS and SQS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.catalog.model import METADATA_NOTIFY, image_id
from services.operations import backfill, resumable
from services.operations.backfill import Backfill, Progress, Selection, parse_location
from services.platform.errors import PermanentError, TransientError
from tests.integration.conftest import Provisioned
from tests.integration.process_image.support import BLUE, OWNER, RED, Environment
from tests.support.waiting import eventually

# So many that no test waits.
RATE = 100_000.0


class BackfillEnvironment(Environment):
    """process-image, and the work of the command."""

    def __init__(self, provisioned: Provisioned, folder: Path) -> None:
        super().__init__(provisioned)
        self.folder = folder

    def put_silently(self, key: str, content: bytes, **metadata: str) -> None:
        """An object whose event the lab never gets."""
        self.upload(key, content, **metadata)

    def work(self, prefix: str = "", *suffixes: str) -> Backfill:
        selection = Selection(self.originals, prefix, suffixes)
        return Backfill(self.s3, self.sqs, self.queue, selection, self.folder)


@pytest.fixture
def environment(provisioned: Provisioned, tmp_path: Path) -> BackfillEnvironment:
    return BackfillEnvironment(provisioned, tmp_path / "state")


def test_photos_that_were_there_are_developed_without_an_email(
    environment: BackfillEnvironment,
) -> None:
    environment.put_silently("ann/1/a b+c.jpg", RED, **{METADATA_NOTIFY: "ann@example.org"})
    work = environment.work("ann/")
    assert work.survey().selected == 1
    assert work.run(RATE).sent == 1
    environment.handle(*environment.receive())
    record = environment.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert record.status.value == "developed"
    (event,) = eventually(environment.events, "the event", pause_seconds=0.01)
    assert (event.source_key, event.recipient) == ("ann/1/a b+c.jpg", None)


def test_photo_that_the_lab_knows_keeps_its_state(environment: BackfillEnvironment) -> None:
    environment.handle(environment.upload("ann/1/a.jpg", RED))
    eventually(environment.events, "the upload's event", pause_seconds=0.01)
    for _ in range(2):
        environment.work().run(RATE)
        environment.handle(*environment.receive())
    assert environment.events() == []


def test_event_of_an_overwritten_photo_wins_over_the_backfill(
    environment: BackfillEnvironment,
) -> None:
    environment.put_silently("ann/1/a.jpg", RED)
    environment.work().run(RATE)
    (backfilled,) = environment.receive()
    created = environment.upload("ann/1/a.jpg", BLUE)
    environment.handle(created, backfilled)
    source = environment.catalog.source(OWNER, "ann/1/a.jpg")
    assert source is not None
    assert source.image_id == image_id(BLUE)


def test_only_photos_of_the_selection_are_sent(environment: BackfillEnvironment) -> None:
    for key in ("ann/1/a.jpg", "ann/1/b.JPG", "ann/1/notes.txt", "bob/1/c.jpg"):
        environment.put_silently(key, RED)
    environment.s3.put_object(Bucket=environment.originals, Key="ann/folder/", Body=b"")
    eventually(environment.receive, "the folder's event", pause_seconds=0.01)
    work = environment.work("ann/", ".jpg")
    found = work.survey()
    assert (found.selected, found.bytes, found.others) == (2, 2 * len(RED), 2)
    assert work.run(RATE).sent == 2
    bodies = eventually(environment.receive, "the messages", pause_seconds=0.01)
    keys = [json.loads(body)["Records"][0]["s3"]["object"]["key"] for body in bodies]
    assert sorted(keys) == ["ann%2F1%2Fa.jpg", "ann%2F1%2Fb.JPG"]


def test_interrupted_run_goes_on_where_it_ended(
    environment: BackfillEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        environment.s3.put_object(
            Bucket=environment.originals, Key=f"ann/{number:02d}/a.jpg", Body=RED
        )
    eventually(lambda: len(environment.receive()) == 0, "S3's own events", pause_seconds=0.05)
    work, sent = environment.work(), resumable.send_batch
    batches: list[int] = []

    def failing(sqs: Any, queue_url: str, bodies: list[str]) -> None:
        if len(batches) == 1:
            raise TransientError("SQS is away")
        batches.append(len(bodies))
        sent(sqs, queue_url, bodies)

    with monkeypatch.context() as patch:
        patch.setattr(backfill, "send_batch", failing)
        with pytest.raises(TransientError):
            work.run(RATE)
    assert work.stored() == Progress(10, "ann/09/a.jpg")
    assert work.survey().selected == 15
    assert work.run(RATE).sent == 25
    assert work.stored() == Progress()


def test_bucket_that_does_not_exist_fails(environment: BackfillEnvironment) -> None:
    selection = Selection("no-such-bucket")
    work = Backfill(environment.s3, environment.sqs, environment.queue, selection, Path("unused"))
    with pytest.raises(ClientError, match="NoSuchBucket"):
        work.survey()


@pytest.mark.parametrize("text", ["bucket/prefix", "s3://", "s3:///prefix", ""])
def test_location_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="expected s3://"):
        parse_location(text)


def test_location_without_prefix_is_the_whole_bucket() -> None:
    assert parse_location("s3://photos", (".JPG",)) == Selection("photos", "", (".jpg",))
