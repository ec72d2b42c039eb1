"""Develops photos that are in the bucket of originals already: sends an event for each to
process-image.

The events have the lowest sequencer there is, so an object that the lab knows keeps the state of
its newest event, and an event that is sent twice does no harm. A run stores its position after each
group of messages; a second run of the same selection goes on where the first one ended.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from services.events.storage import backfill_event
from services.platform.errors import PermanentError, TransientError

# The maximum of one SQS call.
_BATCH_MAX = 10
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
            if len(batch) == _BATCH_MAX:
                self._send(batch)
                self._store(done)
                progress(done)
                time.sleep(len(batch) / per_second)
                batch = []
        if batch:
            self._send(batch)
        self._state_file.unlink(missing_ok=True)
        return done

    def stored(self) -> Progress:
        """The progress of an unfinished run. Raises TransientError for a damaged file."""
        try:
            return Progress(**json.loads(self._state_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Progress()
        except (ValueError, TypeError) as error:
            raise TransientError(
                f"{self._state_file} is damaged ({error!r}); delete it to begin anew"
            ) from None

    def _objects(self, after: str) -> Iterator[dict[str, Any]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.selection.bucket, Prefix=self.selection.prefix, StartAfter=after
        )
        for page in pages:
            yield from page.get("Contents", ())

    def _send(self, bodies: list[str]) -> None:
        answer = self.sqs.send_message_batch(
            QueueUrl=self.queue_url,
            Entries=[
                {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)
            ],
        )
        if failed := answer.get("Failed"):
            raise TransientError(
                f"SQS did not take {len(failed)} of {len(bodies)} messages "
                f"({failed[0].get('Message', 'no reason given')}); run the command again"
            )

    @property
    def _state_file(self) -> Path:
        """One file for each queue and selection."""
        identity = json.dumps([self.queue_url, asdict(self.selection)])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return self.state_folder / f"backfill-{digest}.json"

    def _store(self, done: Progress) -> None:
        self.state_folder.mkdir(parents=True, exist_ok=True)
        draft = self._state_file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(done)), encoding="utf-8")
        draft.replace(self._state_file)
