"""Scenarios of photos, from the upload to the deletion."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from services.catalog.store import Catalog
from services.events import images as image_events
from services.mail.recipients import TOKEN_DIGITS, Recipients, Suppression
from tests.infrastructure import customer
from tests.infrastructure.scenarios.run import (
    LinkRefusedError,
    Scenario,
    ScenarioRun,
    new_photo,
)
from tests.support.loopback import Reply, serving
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
            follow(link)


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


def follow(link: str) -> bytes:
    """What a link leads to. Raises LinkRefusedError."""
    try:
        with urllib.request.urlopen(link, timeout=scaled(HTTP_SECONDS)) as answer:
            content: bytes = answer.read()
            assert content
            return content
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


def replay_upload_form(run: ScenarioRun, folder: Path) -> None:
    """Posts an upload form twice: the version of the second upload is deleted."""
    path = new_photo(folder)
    form = run.api.upload_form(path)
    run.api.post_form(form, path)
    run.until(
        "a developed photo",
        lambda: (image := run.api.image_of(form["id"])) and image["status"] == "developed",
    )
    run.api.post_form(form, path)
    s3, bucket = run.lab.client("s3"), run.lab.output["buckets"]["originals"]
    run.until(
        "the deletion of the replayed version",
        lambda: (
            len(s3.list_object_versions(Bucket=bucket, Prefix=form["fields"]["key"])["Versions"])
            == 1
        ),
    )


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


def call_webhook(run: ScenarioRun, folder: Path) -> None:
    """An event that comes twice is sent to a webhook once."""
    _call_webhook(run, folder, 200)


def call_webhook_that_is_gone(run: ScenarioRun, folder: Path) -> None:
    """A webhook that answers 410 is switched off."""
    _call_webhook(run, folder, 410)


def _call_webhook(run: ScenarioRun, folder: Path, status: int) -> None:
    with serving(lambda _: Reply(status)) as receiver:
        made = run.api.set_webhook(receiver.url)
        try:
            repeat_image_event(run, folder)
            run.until("the call of the webhook", lambda: receiver.received)
            queue = run.lab.output["queues"]["send-webhook"]["url"]
            run.until("an empty queue", lambda: _is_empty(run, queue))
            if status == 410:
                run.until("the end of the webhook", lambda: run.api.webhooks()[0]["disabled"])
        finally:
            run.api.delete_webhook(made["id"])


def _is_empty(run: ScenarioRun, queue: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    sqs = run.lab.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return all(int(found[name]) == 0 for name in names)


def bounce(run: ScenarioRun, _folder: Path) -> None:
    """SES publishes the bounce of an e-mail to an unused address."""
    address = f"{uuid.uuid4().hex}@darkroom.example"
    event = {
        "eventType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [{"emailAddress": address}],
        },
        "mail": {"messageId": "0"},
    }
    run.lab.client("sns").publish(
        TopicArn=run.lab.output["topics"]["mail-events"], Message=json.dumps(event)
    )
    recipients = Recipients(run.lab.client("dynamodb"), run.lab.output["tables"]["recipients"])
    run.until(
        "the suppression", lambda: recipients.settings(address).suppression is Suppression.BOUNCE
    )


def unsubscribe(run: ScenarioRun, _folder: Path) -> None:
    """Posts to an unsubscribe link whose token is unknown: the table is asked all the same."""
    url = f"{run.api.url}/unsubscribe/{'0' * TOKEN_DIGITS}"
    request = urllib.request.Request(url, data=b"", method="POST")
    with suppress(urllib.error.HTTPError):  # 404
        urllib.request.urlopen(request, timeout=scaled(HTTP_SECONDS))


def add_avif(run: ScenarioRun, folder: Path) -> None:
    """Uploads a photo and announces that its AVIF renditions are pending."""
    image = run.upload(folder)
    owner = run.api.session()["user"]["id"]
    catalog = Catalog(run.lab.client("dynamodb"), run.lab.output["tables"]["images"])
    record = catalog.image(owner, image["id"])
    assert record is not None
    (key,) = record.source_keys
    source = catalog.source(owner, key)
    assert source is not None
    _announce_pending_avif(run, owner, image["id"], key, source.sequencer)
    run.until(
        "the AVIF renditions",
        lambda: "avif" in {r["format"] for r in run.api.image(image["id"])["renditions"]},
    )


def add_avif_to_deleted_photo(run: ScenarioRun, _folder: Path) -> None:
    """Announces that AVIF renditions of a deleted photo are pending, of which one was stored."""
    owner, image = run.api.session()["user"]["id"], uuid.uuid4().hex
    s3, bucket = run.lab.client("s3"), run.lab.output["buckets"]["renditions"]
    s3.put_object(Bucket=bucket, Key=f"{owner}/{image}/thumb.avif", Body=b"left")
    _announce_pending_avif(run, owner, image, f"{owner}/1/a.jpg", "0")
    table = run.lab.output["tables"]["images"]
    run.until(
        "the deletion of the rendition and the record",
        lambda: (
            s3.list_objects_v2(Bucket=bucket, Prefix=f"{owner}/{image}/")["KeyCount"] == 0
            and Catalog(run.lab.client("dynamodb"), table).image(owner, image) is None
        ),
    )


def _announce_pending_avif(
    run: ScenarioRun, owner: str, image: str, key: str, sequencer: str
) -> None:
    developed = image_events.ImageEventType.DEVELOPED
    event = image_events.ImageEvent(
        id=image_events.event_id(developed, owner, key, sequencer),
        type=developed,
        time="2026-01-01T00:00:00.000Z",
        owner=owner,
        image_id=image,
        source_key=key,
        filename="a.jpg",
        pending="avif",
    )
    image_events.publish(run.lab.client("sns"), run.lab.output["topics"]["image-events"], event)


def with_mail_refused(function: str, scenario: Scenario) -> Scenario:
    """`scenario` while SES refuses e-mails of `function`."""

    def refused(run: ScenarioRun, folder: Path) -> None:
        with run.blocked(function, "ses:SendRawEmail"):
            scenario(run, folder)
            run.until("the end", lambda: False)

    return refused
