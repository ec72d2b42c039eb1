"""Scenarios of photos, from the upload to the deletion."""

from __future__ import annotations

import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.events import images as image_events
from tests.infrastructure import customer
from tests.infrastructure.scenarios.run import (
    LinkRefusedError,
    Scenario,
    ScenarioRun,
)
from tests.support.waiting import HTTP_SECONDS, scaled


def develop_photo(run: ScenarioRun, folder: Path) -> None:
    """Uploads a photo and downloads every rendition by its presigned link."""
    try:
        image = run.upload(folder)
    except Exception as error:
        if "got 403" in str(error):
            raise LinkRefusedError(str(error)) from error
        raise
    listed = next(i for i in run.api.images() if i["id"] == image["id"])
    for found in (listed, run.api.image(image["id"])):
        for link in links(found):
            _follow(link)


def links(document: Any) -> Iterator[str]:
    """Every presigned link in a document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from links(value)
    elif isinstance(document, list):
        for value in document:
            yield from links(value)
    elif isinstance(document, str) and "X-Amz-Signature=" in document:
        yield document


def _follow(link: str) -> None:
    try:
        with urllib.request.urlopen(link, timeout=scaled(HTTP_SECONDS)) as answer:
            assert answer.read()
    except urllib.error.HTTPError as error:
        if error.code == 403:
            raise LinkRefusedError(f"got 403: {error.read()!r}") from error
        raise


def delete_photo(run: ScenarioRun, folder: Path) -> None:
    """Deletes a photo: its originals, its renditions and its record."""
    image = run.upload(folder)
    run.api.delete_image(image["id"])
    table = run.lab.output["tables"]["images"]
    owner = run.api.session()["user"]["id"]
    run.until(
        "the deletion of the record",
        lambda: "Item" not in run.lab.client("dynamodb").get_item(
            TableName=table, Key={"owner": {"S": owner}, "item": {"S": f"image#{image['id']}"}}
        ),
    )  # fmt: skip


def repeat_image_event(run: ScenarioRun, _folder: Path) -> None:
    photo = run.lab.photo
    event = image_events.ImageEvent(
        id=uuid.uuid4().hex,
        type=image_events.ImageEventType.DEVELOPED,
        time="2026-01-01T00:00:00.000Z",
        owner=run.api.session()["user"]["id"],
        image_id=photo["id"],
        source_key="a/b/c.jpg",
        filename="c.jpg",
        recipient=customer.EMAIL,
        width=photo.get("width") or 640,
        height=photo.get("height") or 480,
    )
    topic = run.lab.output["topics"]["image-events"]
    for _ in range(2):
        image_events.publish(run.lab.client("sns"), topic, event)


def with_mail_refused(function: str, scenario: Scenario) -> Scenario:
    """`scenario` while SES refuses e-mails of `function`."""

    def refused(run: ScenarioRun, folder: Path) -> None:
        with run.blocked(function, "ses:SendRawEmail"):
            scenario(run, folder)
            run.until("the end", lambda: False)

    return refused
