"""Collects the results of a run: the catalogue, the renditions, e-mails, queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.catalog.model import ImageRecord, Source
from services.catalog.store import Catalog
from services.load_test.generator import Upload
from services.load_test.target import Resources, Target
from services.monitoring import dead_letters
from services.monitoring.dead_letter_queues import DeadLetter


@dataclass(frozen=True)
class Depth:
    """A queue's messages: waiting (delayed ones too) and being worked on."""

    waiting: int
    in_flight: int

    @property
    def total(self) -> int:
        return self.waiting + self.in_flight


@dataclass(frozen=True)
class Observations:
    """Everything that a reconciliation reads."""

    uploads: tuple[Upload, ...]
    sources: Mapping[str, Source]
    records: Mapping[str, ImageRecord]
    renditions: frozenset[str]
    mails: tuple[str, ...]
    depths: Mapping[str, Depth]
    dead_letters: tuple[DeadLetter, ...]


def gather(target: Target, owners: tuple[str, ...], uploads: tuple[Upload, ...]) -> Observations:
    """All of the owners'. Everything the catalogue has is read, not only what was uploaded."""
    catalog = Catalog(target.client("dynamodb"), target.resources.images)
    sqs = target.client("sqs")
    return Observations(
        uploads=uploads,
        sources={
            s.key: s
            for owner in owners
            for s in catalog.sources(owner, [u.key for u in uploads if u.owner == owner])
        },
        records={
            r.image_id: r
            for owner in owners
            for r in catalog.images(owner, _listed(catalog, owner))
        },
        renditions=frozenset(
            key
            for owner in owners
            for key in _keys(target.client("s3"), target.resources.renditions, owner)
        ),
        mails=tuple(target.mails()),
        depths=depths(sqs, target.resources),
        dead_letters=tuple(dead_letters.peek(sqs, target.resources.queues)),
    )


def depths(sqs: Any, resources: Resources) -> dict[str, Depth]:
    """How full each function's queue is."""
    found = {}
    for name, queue in resources.queues.items():
        answer = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
        found[name] = Depth(
            waiting=int(answer["ApproximateNumberOfMessages"])
            + int(answer["ApproximateNumberOfMessagesDelayed"]),
            in_flight=int(answer["ApproximateNumberOfMessagesNotVisible"]),
        )
    return found


def _listed(catalog: Catalog, owner: str) -> Iterator[str]:
    """The ids of all images of the owner, as a listing by time shows them."""
    pages = catalog.dynamodb.get_paginator("query").paginate(
        TableName=catalog.table,
        IndexName="by-time",
        KeyConditionExpression="#owner = :owner",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":owner": {"S": owner}},
    )
    for page in pages:
        yield from (item["image_id"]["S"] for item in page["Items"])


def _keys(s3: Any, bucket: str, owner: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{owner}/"):
        yield from (item["Key"] for item in page.get("Contents", ()))
