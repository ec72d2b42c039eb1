"""Function images as workers, with the function's CPU and memory, on LocalStack."""

from __future__ import annotations

from services.build.images import Built
from services.build.openapi import placeholder_environment
from services.events.images import ImageEvent, ImageEventType, parse_image_event, publish
from services.platform.aws import dead_letter
from services.platform.idempotency import Claim, IdempotencyStore
from tests.containers.engine import Engine
from tests.containers.function_containers import emulated
from tests.containers.lab import MANIFESTS, OWNER, RECIPIENT, ContainerLab
from tests.support.waiting import eventually


def test_image_runs_as_function_and_as_worker(
    engine: Engine, built: dict[str, Built], lab: ContainerLab
) -> None:
    image = built["process-image"]
    manifest = MANIFESTS["process-image"]
    with emulated(
        engine, image.image, placeholder_environment(manifest), memory_mib=manifest.memory_mib
    ) as function:
        assert function.invoke({"warmer": True}) == {"warm": True}
        as_function = function.image_id

    worker = lab.worker("process-image")
    key = lab.upload(10)
    eventually(lambda: lab.developed([key]), "the photo is developed")
    assert worker.image_id == as_function == image.id
    assert worker.user == "10001"
    eventually(lambda: worker.health == "healthy", "the healthcheck passes", seconds=40)


def test_worker_develops_photos_and_sends_emails(lab: ContainerLab) -> None:
    lab.worker("process-image")
    lab.worker("send-image-email")
    keys = [lab.upload(seed) for seed in range(20, 25)]
    eventually(lambda: len(lab.developed(keys)) == 5, "five photos are developed")
    eventually(lambda: mails_about(lab, range(20, 25)) == [1] * 5, "five e-mails are sent")
    eventually(lambda: lab.depth("process-image") == 0, "its queue is empty")
    eventually(lambda: lab.depth("send-image-email") == 0, "its queue is empty")
    assert lab.dead("process-image") == lab.dead("send-image-email") == 0


def test_worker_poison_message_becomes_a_dead_letter_with_its_reason(lab: ContainerLab) -> None:
    lab.worker("process-image")
    lab.send("process-image", '{"not": "an S3 notification"}')
    key = lab.upload(30)
    (letter,) = eventually(lambda: lab.dead_letters("process-image"), "a dead letter")
    attributes = {n: v["StringValue"] for n, v in letter["MessageAttributes"].items()}
    assert letter["Body"] == '{"not": "an S3 notification"}'
    assert set(attributes) == set(dead_letter.NAMES)
    assert attributes[dead_letter.ERROR_TYPE] == "PermanentError"
    assert "expected an S3 notification" in attributes[dead_letter.REASON]
    assert attributes[dead_letter.FUNCTION] == "process-image"
    eventually(lambda: lab.developed([key]), "the photo beside it is developed")
    eventually(lambda: lab.depth("process-image") == 0, "the queue is empty")


def test_worker_partial_batch_failure_returns_only_the_failed(lab: ContainerLab) -> None:
    """A valid, a malformed and a claimed message in one batch."""
    held = lab_idempotency(lab).claim("mail#event-42", {"recipient": RECIPIENT})
    assert isinstance(held, Claim)
    lab.send("send-image-email", rejection(41), rejection(42), "no JSON")
    worker = lab.worker("send-image-email")

    eventually(lambda: lab.dead("send-image-email") == 1, "the poison is a dead letter")
    eventually(lambda: mails_about(lab, [41]) == [1], "the good one is sent")
    eventually(lambda: lab.depth("send-image-email") == 1, "one message is left")
    assert mails_about(lab, [42]) == [0]
    lab_idempotency(lab).release(held)
    eventually(lambda: mails_about(lab, [42]) == [1], "the held one is sent")
    eventually(lambda: lab.depth("send-image-email") == 0, "the queue is empty")
    assert mails_about(lab, [41, 42]) == [1, 1]
    assert worker.events("report")[0]["records"] >= 1


def test_worker_docker_stop_drains(lab: ContainerLab) -> None:
    keys = [lab.upload(seed, 4000, 3000) for seed in range(50, 70)]
    worker = lab.worker("process-image")
    # A report alone does not say so: S3 sends a message of its own when notifications are set.
    eventually(lambda: lab.developed(keys), "the first photo is done")
    assert worker.stop() == 0
    done = lab.developed(keys)
    assert 0 < len(done) < len(keys), "the stop came in the midst of the work"
    # Finished messages are acknowledged; the others are visible at once.
    eventually(
        lambda: lab.depth("process-image") == len(keys) - len(done), "the rest is in the queue"
    )
    lab.worker("process-image")
    eventually(lambda: len(lab.developed(keys)) == len(keys), "all photos are developed")
    eventually(lambda: lab.depth("process-image") == 0, "the queue is empty")
    assert_announced_once_each(lab, keys)


def test_worker_killed_container_loses_nothing(lab: ContainerLab) -> None:
    keys = [lab.upload(seed, 4000, 3000) for seed in range(60, 66)]
    worker = lab.worker("process-image")
    eventually(lambda: worker.events("report"), "the first photo is done")
    worker.kill()
    assert len(lab.developed(keys)) < len(keys), "the kill came in the midst of the work"
    lab.worker("process-image")
    eventually(lambda: len(lab.developed(keys)) == len(keys), "all photos are developed")
    eventually(lambda: lab.depth("process-image") == 0, "the queue is empty")
    assert lab.dead("process-image") == 0
    assert_announced_once_each(lab, keys)


def rejection(number: int) -> str:
    """The message of an event that rejects a photo."""
    return _Recorder().body_of(
        ImageEvent(
            id=f"event-{number}",
            type=ImageEventType.REJECTED,
            time="2026-11-23T12:00:00Z",
            owner=OWNER,
            image_id=f"{number:032x}",
            source_key=f"{OWNER}/upload-{number}/photo-{number}.jpg",
            filename=f"photo-{number}.jpg",
            recipient=RECIPIENT,
            reason="unreadable",
            message="It is no photo.",
        )
    )


class _Recorder:
    """A fake SNS client that records messages."""

    def body_of(self, event: ImageEvent) -> str:
        publish(self, "", event)
        return self._message

    def publish(self, **arguments: str) -> None:
        self._message = arguments["Message"]


def mails_about(lab: ContainerLab, numbers: range | list[int]) -> list[int]:
    """The number of e-mails about each photo."""
    mails = lab.mails()
    return [sum(f"photo-{number}.jpg" in mail for mail in mails) for number in numbers]


def lab_idempotency(lab: ContainerLab) -> IdempotencyStore:
    table = lab.made.table("idempotency")
    return IdempotencyStore(lab.cloud.client("dynamodb"), table, 60.0, 3600.0)


def assert_announced_once_each(lab: ContainerLab, keys: list[str]) -> None:
    """Checks that each photo has one event id; repeated deliveries share it."""
    events: dict[str, set[str]] = {}
    while lab.depth("send-image-email"):
        event = parse_image_event(lab.take("send-image-email")["body"])
        events.setdefault(event.source_key, set()).add(event.id)
    assert {key: len(ids) for key, ids in events.items()} == dict.fromkeys(keys, 1)
