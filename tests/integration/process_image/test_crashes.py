"""Crashes, exceptions and races of process-image."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.catalog import created, originals
from services.catalog.lifecycle import ChangedMeanwhileError, ImageLifecycle
from services.catalog.model import FAILED_REPEATEDLY, ImageStatus, image_id
from services.catalog.store import Catalog
from services.events.images import ImageEventType
from services.imaging.isolation import IsolatedDeveloper
from services.imaging.model import Developed, OutputFormat, Recipe, RenditionSpec
from services.imaging.recipes import only
from services.platform.functions.sqs import Message
from tests.integration.process_image.support import (
    BLUE,
    OWNER,
    RED,
    Crash,
    CrashingClient,
    Environment,
    photo,
)

# One rendition, so that the test of a crash at every call has fewer calls.
SMALL = Recipe(renditions=(RenditionSpec("thumb", 32),), formats=(OutputFormat.JPEG,))


@pytest.mark.slow
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
            recipes=only(SMALL),
            s3=wrap(environment.s3),
            sns=wrap(environment.processor.sns),
            catalog=Catalog(wrap(environment.catalog.dynamodb), environment.catalog.table),
        )
        key, other = f"ann/{crash_at}/a.jpg", f"ann/{crash_at}/b.jpg"
        environment.processor = dataclasses.replace(environment.processor, recipes=only(SMALL))
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
    assert (record.status, record.reason) == (ImageStatus.REJECTED, FAILED_REPEATEDLY)


def test_photo_that_ends_the_decoder_is_rejected_at_once(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out_of_memory(*_: object) -> Developed:
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does
        raise AssertionError

    isolated = IsolatedDeveloper(run_out_of_memory)
    monkeypatch.setattr(originals, "develop", isolated.develop)
    environment.handle(environment.upload("ann/1/a.jpg", RED))
    record = environment.catalog.image(OWNER, image_id(RED))
    assert record is not None
    assert (record.status, record.reason) == (ImageStatus.REJECTED, "too-expensive")
    (event,) = environment.events()
    assert event.type is ImageEventType.REJECTED


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
    assert (record.status, record.reason) == (ImageStatus.REJECTED, FAILED_REPEATEDLY)
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
