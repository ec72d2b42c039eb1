import json
from typing import Any

import pytest

from services.events.storage import Change, parse_object_events
from services.platform.errors import PermanentError


def record(**changes: Any) -> dict[str, Any]:
    described = {
        "key": "a/b/c.jpg",
        "size": 5,
        "eTag": "e",
        "versionId": "v",
        "sequencer": "00AB",
    } | changes.pop("object", {})
    return {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-02T03:04:05.678Z",
        "s3": {"bucket": {"name": "originals"}, "object": described},
    } | changes


def body(*records: dict[str, Any]) -> str:
    return json.dumps({"Records": list(records)})


def wrapped(text: str) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "m", "Message": text})


def test_parse_returns_every_record() -> None:
    removed = record(eventName="ObjectRemoved:DeleteMarkerCreated")
    created, deleted = parse_object_events(body(record(), removed))
    assert created.change is Change.CREATED
    assert (created.bucket, created.key, created.size) == ("originals", "a/b/c.jpg", 5)
    assert (created.etag, created.version_id) == ("e", "v")
    assert deleted.change is Change.REMOVED


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("o/u/my+photo.jpg", "o/u/my photo.jpg"),
        ("o/u/my%20photo.jpg", "o/u/my photo.jpg"),
        ("o/u/1%2B1%3D2.jpg", "o/u/1+1=2.jpg"),
        ("o/u/%C3%A9t%C3%A9.jpg", "o/u/été.jpg"),
        ("o/u/100%25.jpg", "o/u/100%.jpg"),
    ],
)
def test_parse_decodes_keys(encoded: str, key: str) -> None:
    (event,) = parse_object_events(body(record(object={"key": encoded})))
    assert event.key == key


def test_parse_of_test_event_returns_nothing() -> None:
    test_event = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})
    assert parse_object_events(test_event) == ()
    assert parse_object_events(wrapped(test_event)) == ()


def test_parse_of_sns_notification_returns_its_records() -> None:
    assert parse_object_events(wrapped(body(record()))) == parse_object_events(body(record()))


def test_sequencers_of_different_length_compare_by_padding() -> None:
    """The shorter is padded on the right with zeros, then they compare as texts."""

    def sequencer(text: str) -> str:
        return parse_object_events(body(record(object={"sequencer": text})))[0].sequencer

    assert sequencer("0055AED6") < sequencer("0055AED60001") < sequencer("0055AED7")
    assert sequencer("0055aed6") == sequencer("0055AED6")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"Records": 1}',
        '{"Records": [1]}',
        '{"Records": [{}]}',
        body(record(eventName="ObjectRestore:Post")),
        body(record(object={"key": None})),
        body(record(object={"key": "%ff"})),
        wrapped("nonsense"),
    ],
)
def test_parse_of_other_message_raises_permanent_error(text: str) -> None:
    with pytest.raises(PermanentError, match="expected"):
        parse_object_events(text)


def eventbridge(detail_type: str, reason: str = "PutObject", **object_: Any) -> str:
    """An event of EventBridge, in the form of S3's documentation."""
    described = {"key": "a/my photo+1.jpg", "size": 5, "etag": "e", "sequencer": "00ab"}
    return json.dumps(
        {
            "version": "0",
            "detail-type": detail_type,
            "source": "aws.s3",
            "time": "2026-01-02T03:04:05Z",
            "detail": {
                "version": "0",
                "bucket": {"name": "originals"},
                "object": described | object_,
                "reason": reason,
            },
        }
    )


def test_parse_eventbridge_creation_takes_the_key_as_it_is() -> None:
    (event,) = parse_object_events(eventbridge("Object Created", **{"version-id": "v"}))
    assert (event.change, event.bucket, event.key) == (
        Change.CREATED,
        "originals",
        "a/my photo+1.jpg",
    )
    assert (event.size, event.etag, event.version_id, event.posted) == (5, "e", "v", False)
    (notified,) = parse_object_events(body(record(object={"sequencer": "00AB"})))
    assert event.sequencer == notified.sequencer


def test_parse_eventbridge_of_form_and_of_deletion() -> None:
    (posted,) = parse_object_events(eventbridge("Object Created", "POST Object"))
    assert posted.posted
    (deleted,) = parse_object_events(eventbridge("Object Deleted", "DeleteObject"))
    assert (deleted.change, deleted.etag) == (Change.REMOVED, "")


@pytest.mark.parametrize(
    "event", [eventbridge("Object Tags Added"), eventbridge("Object Created").replace("key", "k")]
)
def test_parse_eventbridge_of_another_kind_raises_permanent_error(event: str) -> None:
    with pytest.raises(PermanentError, match="invalid event"):
        parse_object_events(event)
