"""The bytes that an owner's originals count, and the limit of uploads that reads them."""

from __future__ import annotations

import dataclasses
import itertools
import time
import uuid
from functools import partial
from typing import Any

import httpx
import pytest

from services.catalog.api import UploadRequest
from services.catalog.lifecycle import ChangedMeanwhileError
from services.catalog.model import METADATA_SINGLE_USE, Source
from services.catalog.request_upload import RequestUpload, StorageLimit
from services.catalog.store import Catalog
from services.catalog.stored_bytes import stored_bytes
from services.imaging.model import Limits, OutputFormat, Recipe, RenditionSpec
from services.imaging.recipes import only
from services.platform.functions.access import Caller
from services.platform.functions.http import HttpProblem, Request
from services.platform.functions.sqs import Message
from services.platform.usage import DailyBytes, DailyLimit
from tests.integration.conftest import Provisioned
from tests.integration.process_image.support import (
    BLUE,
    OWNER,
    RED,
    Crash,
    CrashingClient,
    Environment,
)
from tests.support.at_once import at_once
from tests.support.waiting import HTTP_SECONDS, scaled

SINGLE_USE = {METADATA_SINGLE_USE: "true"}
SMALL = Recipe(renditions=(RenditionSpec("thumb", 32),), formats=(OutputFormat.JPEG,))


class Uploader:
    """request-upload for one account."""

    def __init__(self, provisioned: Provisioned, catalog: Catalog, bytes_max: int) -> None:
        self.originals = provisioned.lab.bucket("originals")
        self.function = RequestUpload(
            provisioned.session.client("s3"),
            self.originals,
            1_000_000,
            15,
            ("standard",),
            DailyLimit(catalog.dynamodb, provisioned.lab.table("usage"), "uploads", 100, 100),
            StorageLimit(catalog, bytes_max),
            DailyBytes(catalog.dynamodb, provisioned.lab.table("usage"), 1024),
        )
        self.user = uuid.uuid4().hex

    def form(self, size: int | None = None) -> Any:
        body = UploadRequest(filename="a.jpg", content_type="image/jpeg", bytes=size)
        caller = Caller(self.user, "anna@darkroom.example", "customer", "session", 2**40)
        request = Request(body, None, {}, "/uploads", "192.0.2.9", "r", b"", caller)
        return self.function.handle(request).body


def post(form: Any, content: bytes) -> int:
    answer = httpx.post(
        form.url, data=form.fields, files={"file": content}, timeout=scaled(HTTP_SECONDS)
    )
    return answer.status_code


def test_bytes_of_uploads_are_counted_once_and_given_back_once(environment: Environment) -> None:
    first = environment.post("ann/1/a.jpg", RED, **SINGLE_USE)
    environment.handle(first, first)
    assert stored_bytes(environment.catalog, OWNER) == len(RED)
    # The same photo once more is a second object.
    environment.handle(environment.post("ann/2/a.jpg", RED, **SINGLE_USE))
    assert stored_bytes(environment.catalog, OWNER) == 2 * len(RED)
    replayed = environment.post("ann/1/a.jpg", BLUE, **SINGLE_USE)
    environment.handle(replayed, *environment.receive())
    environment.receive()
    assert stored_bytes(environment.catalog, OWNER) == 2 * len(RED)
    removed = environment.delete("ann/1/a.jpg")
    environment.handle(removed, removed, first)
    assert stored_bytes(environment.catalog, OWNER) == len(RED)
    environment.handle(environment.delete("ann/2/a.jpg"))
    assert stored_bytes(environment.catalog, OWNER) == 0


def test_rejected_upload_counts_as_long_as_it_is_kept(environment: Environment) -> None:
    environment.processor = dataclasses.replace(environment.processor, limits=Limits(bytes_max=10))
    environment.handle(environment.post("ann/1/a.jpg", RED, **SINGLE_USE))
    environment.handle(environment.post("ann/2/a.jpg", b"no photo", **SINGLE_USE))
    assert stored_bytes(environment.catalog, OWNER) == len(RED) + len(b"no photo")
    for key in ("ann/1/a.jpg", "ann/2/a.jpg"):
        environment.handle(environment.delete(key))
    assert stored_bytes(environment.catalog, OWNER) == 0


def test_original_that_no_form_uploaded_does_not_count(environment: Environment) -> None:
    environment.handle(environment.upload("ann/1/a.jpg", RED))
    assert stored_bytes(environment.catalog, OWNER) == 0
    environment.handle(environment.delete("ann/1/a.jpg"))
    assert stored_bytes(environment.catalog, OWNER) == 0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_crash_at_any_call_counts_the_bytes_once(environment: Environment, after: bool) -> None:
    crash_at = 0
    environment.processor = dataclasses.replace(environment.processor, recipes=only(SMALL))
    while True:
        dynamodb = CrashingClient(environment.catalog.dynamodb, itertools.count(), crash_at, after)
        crashing = dataclasses.replace(
            environment.processor, catalog=Catalog(dynamodb, environment.catalog.table)
        )
        crashes, key = 0, f"ann/{crash_at}/a.jpg"
        for act, expected in (
            (partial(environment.post, key, RED, **SINGLE_USE), len(RED)),
            (partial(environment.delete, key), 0),
        ):
            body = act()
            try:
                crashing.handle(Message("m", body, 1, False, time.monotonic() + 60))
            except Crash:
                crashes += 1
                environment.handle(body)
            assert stored_bytes(environment.catalog, OWNER) == expected
        if crashes == 0:
            break
        crash_at += 1
    assert crash_at > 5, "expected more DynamoDB calls"


def test_conflict_with_another_photo_of_the_owner_is_repeated(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb = environment.catalog.dynamodb
    monkeypatch.setattr("services.catalog.lifecycle._CONFLICT_SECONDS", 0.0)
    calls = itertools.count(1)

    def conflicting(**arguments: Any) -> Any:
        if next(calls) > 2:
            return write(**arguments)
        raise dynamodb.exceptions.TransactionCanceledException(
            {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
            },
            "TransactWriteItems",
        )

    write = dynamodb.transact_write_items
    images = environment.processor._images
    source = Source("ann/1/a.jpg", "1", "0" * 32, bytes=5)
    with monkeypatch.context() as patched:
        patched.setattr(dynamodb, "transact_write_items", conflicting)
        assert images.claim(OWNER, None, source, "2026-01-01T00:00:00Z") is not None
        assert stored_bytes(environment.catalog, OWNER) == 5
        calls = itertools.count(-100)
        with pytest.raises(ChangedMeanwhileError):
            images.claim(OWNER, source, dataclasses.replace(source, sequencer="2", bytes=7), "")
    assert stored_bytes(environment.catalog, OWNER) == 5


def test_request_upload_at_the_limit_returns_413_until_a_photo_is_deleted(
    provisioned: Provisioned, environment: Environment
) -> None:
    uploader = Uploader(provisioned, environment.catalog, len(RED))
    form = uploader.form()
    assert form.bytes_max == len(RED)
    assert post(form, RED) == 204
    environment.handle(*environment.receive())
    with pytest.raises(HttpProblem) as refused:
        uploader.form()
    problem = refused.value
    assert (problem.problem.status, problem.problem.slug) == (413, "storage-full")
    assert problem.members == {"used_bytes": len(RED), "limit_bytes": len(RED)}
    assert "retry-after" not in {name.lower() for name in problem.headers}
    assert Uploader(provisioned, environment.catalog, len(RED)).form()  # another account
    environment.handle(environment.delete(f"{uploader.user}/{form.id}/a.jpg"))
    assert uploader.form().bytes_max == len(RED)


def test_form_near_the_limit_allows_only_what_is_left(
    provisioned: Provisioned, environment: Environment
) -> None:
    uploader = Uploader(provisioned, environment.catalog, len(RED) + len(BLUE) - 1)
    assert post(uploader.form(), RED) == 204
    environment.handle(*environment.receive())
    assert post(uploader.form(), BLUE) == 400  # S3: EntityTooLarge


def test_form_for_a_size_accepts_no_larger_file(
    provisioned: Provisioned, environment: Environment
) -> None:
    uploader = Uploader(provisioned, environment.catalog, 2**20)
    assert post(uploader.form(len(RED)), RED + b"0") == 400
    assert post(uploader.form(len(RED)), RED) == 204


def test_concurrent_uploads_exceed_the_limit_only_by_forms_that_were_issued(
    provisioned: Provisioned, environment: Environment
) -> None:
    uploader = Uploader(provisioned, environment.catalog, 2 * len(RED))
    forms: list[Any] = []
    at_once([lambda: forms.append(uploader.form()) for _ in range(4)])
    at_once([partial(post, form, RED) for form in forms])
    environment.handle(*environment.receive())
    kept = stored_bytes(environment.catalog, uploader.user)
    assert kept == 4 * len(RED)
    assert kept <= 2 * len(RED) + sum(form.bytes_max for form in forms)
    with pytest.raises(HttpProblem):
        uploader.form()
