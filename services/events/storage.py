"""Events of objects in S3: notifications of a bucket, and events of EventBridge.

Structure of notifications: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
Structure of events: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from services.events.cloudevents import open_envelope
from services.platform.errors import PermanentError
from services.platform.timestamps import format_utc

# S3's sequencers are hexadecimal texts of different lengths. To compare two as texts, the shorter
# is padded with zeros on the right. This is longer than S3's sequencers.
_SEQUENCER_DIGITS = 40
# The lowest, so that an event of S3 counts more. S3's are never zero.
BACKFILL_SEQUENCER = "0" * _SEQUENCER_DIGITS

_EVENTBRIDGE_SOURCE = "aws.s3"
# Not an event name of S3's.
_BACKFILLED = "ObjectCreated:Backfill"


class Change(StrEnum):
    CREATED = "created"
    REMOVED = "removed"


_DETAIL_TYPES = {"Object Created": Change.CREATED, "Object Deleted": Change.REMOVED}


@dataclass(frozen=True)
class ObjectEvent:
    """One change of one object. `key` is decoded; `sequencer` orders the events of one key, by
    comparison as text; `size` is in bytes; `etag` is empty for a removal. `posted`: the object was
    uploaded with a form; `backfilled`: it was in the bucket before the lab, or while the lab got no
    events (`backfill_event`)."""

    change: Change
    bucket: str
    key: str
    size: int
    etag: str
    version_id: str | None
    sequencer: str
    time: str
    posted: bool = False
    backfilled: bool = False


def parse_object_events(body: str) -> tuple[ObjectEvent, ...]:
    """The object events in a queue message; none in S3's test event.

    Raises PermanentError for any other message.
    """
    document = open_envelope(body)
    if document.get("source") == _EVENTBRIDGE_SOURCE:
        return (_eventbridge_event(document),)
    if document.get("Event") == "s3:TestEvent":
        return ()
    records = document.get("Records")
    if not isinstance(records, list):
        raise PermanentError(
            f"the message has no Records: expected an S3 notification, got keys {sorted(document)}"
        )
    return tuple(_event(record) for record in records)


def backfill_event(bucket: str, key: str, size: int, etag: str, modified: datetime) -> str:
    """A message about an object that is there already, in the form of a notification. Its sequencer
    is the lowest one, so that it never replaces what a real event of the object did."""
    described = {
        "key": quote_plus(key), "size": size, "eTag": etag, "sequencer": BACKFILL_SEQUENCER,
    }  # fmt: skip
    record = {
        "eventName": _BACKFILLED,
        "eventTime": format_utc(modified),
        "s3": {"bucket": {"name": bucket}, "object": described},
    }
    return json.dumps({"Records": [record]})


def _event(record: Any) -> ObjectEvent:
    try:
        name: str = record["eventName"]
        described = record["s3"]["object"]
        return ObjectEvent(
            change=_change(name),
            bucket=record["s3"]["bucket"]["name"],
            # S3 encodes keys as form values: a space is +, a plus is %2B.
            key=unquote_plus(described["key"], errors="strict"),
            size=int(described.get("size", 0)),
            etag=described.get("eTag", ""),
            version_id=described.get("versionId"),
            sequencer=_sequencer(described),
            time=record.get("eventTime", ""),
            posted=name.endswith("ObjectCreated:Post"),
            backfilled=name == _BACKFILLED,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(
            f"invalid record: expected an S3 event record, got {str(record)[:200]!r} ({error!r})"
        ) from None


def _eventbridge_event(document: dict[str, Any]) -> ObjectEvent:
    try:
        change = _DETAIL_TYPES[document["detail-type"]]
        detail = document["detail"]
        described = detail["object"]
        return ObjectEvent(
            change=change,
            bucket=detail["bucket"]["name"],
            key=described["key"],  # as it is, not encoded
            size=int(described.get("size", 0)),
            etag=described.get("etag", "") if change is Change.CREATED else "",
            version_id=described.get("version-id"),
            sequencer=_sequencer(described),
            time=document.get("time", ""),
            posted=detail.get("reason") == "POST Object",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PermanentError(
            f"invalid event: expected Object Created or Object Deleted of S3, got "
            f"{str(document)[:200]!r} ({error!r})"
        ) from None


def _sequencer(described: dict[str, Any]) -> str:
    return str(described.get("sequencer", "")).upper().ljust(_SEQUENCER_DIGITS, "0")


def _change(name: str) -> Change:
    # "ObjectCreated:Put" in notifications, "s3:ObjectCreated:Put" in some emulators.
    kind = name.removeprefix("s3:").partition(":")[0]
    if kind == "ObjectCreated":
        return Change.CREATED
    if kind in ("ObjectRemoved", "LifecycleExpiration"):
        return Change.REMOVED
    raise PermanentError(f"event {name!r}: expected ObjectCreated or ObjectRemoved")
