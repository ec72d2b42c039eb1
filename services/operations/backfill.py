"""Develops photos that are in the bucket of originals already: sends an event for each to
process-image.

The events have the lowest sequencer there is, so an object that the lab knows keeps the state of
its newest event, and an event that is sent twice does no harm. A run stores its position after each
group of messages; a second run of the same selection goes on where the first one ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from services.events.storage import backfill_event
from services.operations.resumable import BATCH_MAX, ProgressFile, send_batch
from services.platform.errors import PermanentError

_SCHEME = "s3://"


@dataclass(frozen=True)
class Selection:
    """Objects of a bucket: those whose key begins with `prefix` and ends with one of `suffixes`,
    with any ending where there are none."""

    bucket: str
    prefix: str = ""
    suffixes: tuple[str, ...] = ()

    def wants(self, key: str, size: int) -> bool:
        """Whether the object may be a photo. Consoles store folders as empty objects."""
        return size > 0 and (not self.suffixes or key.lower().endswith(self.suffixes))


def parse_location(text: str, suffixes: tuple[str, ...] = ()) -> Selection:
    """The selection of `s3://bucket/prefix`. Raises PermanentError."""
    bucket, _, prefix = text.removeprefix(_SCHEME).partition("/")
    if not text.startswith(_SCHEME) or not bucket:
        raise PermanentError(f"expected s3://BUCKET/PREFIX, got {text!r}")
    return Selection(bucket, prefix, tuple(suffix.lower() for suffix in suffixes))


@dataclass(frozen=True)
class Survey:
    """What is there: selected objects and their bytes, and objects that are not selected."""

    selected: int = 0
    bytes: int = 0
    others: int = 0


@dataclass(frozen=True)
class Progress:
    """What all runs of this selection have sent; `position` is the last key."""

    sent: int = 0
    position: str = ""


@dataclass(frozen=True)
class Backfill:
    """Sends events to the queue of process-image. `s3` and `sqs` are clients."""

    s3: Any
    sqs: Any
    queue_url: str
    selection: Selection
    state_folder: Path

    def survey(self) -> Survey:
        """Counts what is still to be sent."""
        found = Survey()
        for item in self._objects(self.stored().position):
            if self.selection.wants(item["Key"], item["Size"]):
                found = replace(
                    found, selected=found.selected + 1, bytes=found.bytes + item["Size"]
                )
            else:
                found = replace(found, others=found.others + 1)
        return found

    def run(
        self, per_second: float, progress: Callable[[Progress], None] = lambda _progress: None
    ) -> Progress:
        """Sends an event for each selected object, at most `per_second`. Raises TransientError when
        SQS does not take a message; the next run goes on from there."""
        done = self.stored()
        batch: list[str] = []
        for item in self._objects(done.position):
            if not self.selection.wants(item["Key"], item["Size"]):
                continue
            batch.append(
                backfill_event(
                    self.selection.bucket,
                    item["Key"],
                    item["Size"],
                    item["ETag"].strip('"'),
                    item["LastModified"],
                )
            )
            done = Progress(done.sent + 1, item["Key"])
            if len(batch) == BATCH_MAX:
                send_batch(self.sqs, self.queue_url, batch)
                self._progress_file.write(asdict(done))
                progress(done)
                time.sleep(len(batch) / per_second)
                batch = []
        if batch:
            send_batch(self.sqs, self.queue_url, batch)
        self._progress_file.clear()
        return done

    def stored(self) -> Progress:
        """The progress of an unfinished run. Raises TransientError for a damaged file."""
        return self._progress_file.read(lambda found: Progress(**found)) or Progress()

    def _objects(self, after: str) -> Iterator[dict[str, Any]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.selection.bucket, Prefix=self.selection.prefix, StartAfter=after
        )
        for page in pages:
            yield from page.get("Contents", ())

    @property
    def _progress_file(self) -> ProgressFile:
        """One file for each queue and selection."""
        identity = json.dumps([self.queue_url, asdict(self.selection)])
        return ProgressFile.of(self.state_folder, "backfill", identity)
