import dataclasses
import json
from typing import Any

import pytest

from services.events.images import (
    ImageEvent,
    ImageEventType,
    event_id,
    parse_image_event,
    publish,
)
from services.platform.errors import PermanentError

EVENT = ImageEvent(
    id="1",
    type=ImageEventType.REJECTED,
    time="2026-01-02T03:04:05Z",
    owner="o",
    image_id="i",
    source_key="o/u/f.jpg",
    filename="f.jpg",
    reason="truncated",
    message="The file ends too early.",
)


class Recorder:
    """An SNS client that records the arguments of publish."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []

    def publish(self, **arguments: Any) -> None:
        self.published.append(arguments)


def published(event: ImageEvent) -> dict[str, Any]:
    recorder = Recorder()
    publish(recorder, "arn:topic", event)
    (arguments,) = recorder.published
    return arguments


def test_events_of_an_owner_are_one_message_group() -> None:
    other = dataclasses.replace(EVENT, id="2", owner="somebody else, with spaces")
    groups = [published(event)["MessageGroupId"] for event in (EVENT, EVENT, other)]
    assert groups[0] == groups[1] != groups[2]
    assert all(group.isalnum() for group in groups)


def test_parse_returns_published_event_raw_and_wrapped() -> None:
    text = published(EVENT)["Message"]
    assert parse_image_event(text) == EVENT
    assert parse_image_event(json.dumps({"Type": "Notification", "Message": text})) == EVENT


def test_publish_sends_cloud_event_with_type_attribute() -> None:
    arguments = published(EVENT)
    document = json.loads(arguments["Message"])
    required = {"specversion", "id", "source", "type"}
    assert required <= document.keys()
    assert document["specversion"] == "1.0"
    assert arguments["MessageAttributes"]["type"]["StringValue"] == document["type"]


def test_parse_with_unknown_fields_ignores_them() -> None:
    document = json.loads(published(EVENT)["Message"])
    document["data"]["novelty"] = 1
    assert parse_image_event(json.dumps(document)) == EVENT


def test_event_id_depends_on_every_part() -> None:
    base = (ImageEventType.DEVELOPED, "o", "k", "1")
    others = [
        (ImageEventType.REJECTED, "o", "k", "1"),
        (ImageEventType.DEVELOPED, "p", "k", "1"),
        (ImageEventType.DEVELOPED, "o", "l", "1"),
        (ImageEventType.DEVELOPED, "o", "k", "2"),
    ]
    assert event_id(*base) == event_id(*base)
    assert len({event_id(*arguments) for arguments in [base, *others]}) == 5


@pytest.mark.parametrize("missing", ["id", "type", "time", "data"])
def test_parse_with_missing_attribute_raises_permanent_error(missing: str) -> None:
    document = json.loads(published(EVENT)["Message"])
    del document[missing]
    with pytest.raises(PermanentError, match="expected an image event"):
        parse_image_event(json.dumps(document))


def test_parse_with_unknown_type_raises_permanent_error() -> None:
    document = json.loads(published(EVENT)["Message"]) | {"type": "image.eaten"}
    with pytest.raises(PermanentError, match=r"image\.eaten"):
        parse_image_event(json.dumps(document))


def test_publish_omits_fields_without_value() -> None:
    data = json.loads(published(dataclasses.replace(EVENT, reason=None))["Message"])["data"]
    assert "reason" not in data
    assert "recipient" not in data


@pytest.mark.parametrize(
    "body",
    ["no JSON", "[" * 100_000, json.dumps({"Type": "Notification", "Message": "[" * 100_000})],
)
def test_parse_message_that_is_no_json_object_raises_permanent_error(body: str) -> None:
    with pytest.raises(PermanentError):
        parse_image_event(body)
