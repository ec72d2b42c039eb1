"""Develops images again whose recipe changed: sends a request for each to process-image.

A run stores its position after each group of messages, so that a second run of the same selection
goes on where the first one ended. process-image skips an image that is up to date, so a request
that is sent twice does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.catalog.model import ImageRecord, ImageStatus
from services.catalog.store import Catalog
from services.events.redevelopment import RedevelopmentRequest
from services.imaging.recipes import Recipes
from services.operations.resumable import BATCH_MAX, ProgressFile, send_batch

# Images that are read at once.
_PAGE_ITEMS = 100


@dataclass(frozen=True)
class Selection:
    """Images to develop again. `owner`: only that customer's; `before`: only those uploaded before
    that time; `recipe`: only those of that recipe, chosen or by default."""

    owner: str | None = None
    before: datetime | None = None
    recipe: str | None = None


@dataclass(frozen=True)
class Progress:
    """What a run has done. `current` images have their recipe's renditions. `position` is the last
    image that was handled, as (owner, image id)."""

    examined: int = 0
    sent: int = 0
    current: int = 0
    position: tuple[str, str] | None = None
    finished: bool = False


@dataclass(frozen=True)
class Redevelopment:
    """Sends requests to the queue of process-image."""

    catalog: Catalog
    sqs: Any
    queue_url: str
    originals_bucket: str
    recipes: Recipes
    selection: Selection
    state_folder: Path

    def run(
        self,
        per_second: float,
        *,
        dry_run: bool = False,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> Progress:
        """Sends a request for each selected image that is not up to date, at most `per_second`.

        `dry_run` counts them from the beginning, and sends and stores nothing. Raises
        TransientError when SQS does not take a message; the next run goes on from there.
        """
        done = Progress() if dry_run else self._stored()
        batch: list[RedevelopmentRequest] = []
        for record in self._records(done.position):
            done = replace(
                done, examined=done.examined + 1, position=(record.owner, record.image_id)
            )
            if not self._is_wanted(record):
                continue
            if record.recipe == self.recipes.chosen(record.recipe_name).version:
                done = replace(done, current=done.current + 1)
                continue
            done = replace(done, sent=done.sent + 1)
            batch.append(self._request(record))
            if len(batch) == BATCH_MAX:
                self._end_batch(batch, done, per_second, dry_run)
                progress(done)
                batch = []
        done = replace(done, finished=True)
        self._end_batch(batch, done, per_second, dry_run)
        return done

    def _is_wanted(self, record: ImageRecord) -> bool:
        name = record.recipe_name or self.recipes.default
        return (
            record.status is ImageStatus.DEVELOPED
            and record.visible
            and bool(record.source_keys)
            and self.selection.recipe in (None, name)
            and (self.selection.before is None or _time(record) < self.selection.before)
        )

    def _request(self, record: ImageRecord) -> RedevelopmentRequest:
        return RedevelopmentRequest(
            bucket=self.originals_bucket,
            owner=record.owner,
            image_id=record.image_id,
            source_key=min(record.source_keys),
        )

    def _end_batch(
        self, batch: list[RedevelopmentRequest], done: Progress, per_second: float, dry_run: bool
    ) -> None:
        if dry_run:
            return
        if batch:
            send_batch(self.sqs, self.queue_url, [request.encode() for request in batch])
        if done.finished:
            self._progress_file.clear()
            return
        self._progress_file.write(asdict(done))
        time.sleep(len(batch) / per_second)

    def _records(self, position: tuple[str, str] | None) -> Iterator[ImageRecord]:
        """The images of the selected owner, or of all, after `position`."""
        return self.catalog.every_image(self.selection.owner, position, _PAGE_ITEMS)

    # -- the state of an unfinished run

    @property
    def _progress_file(self) -> ProgressFile:
        """One file for each selection and content of the recipes, in each lab."""
        identity = [
            self.queue_url,
            self.catalog.table,
            *(str(value) for value in asdict(self.selection).values()),
            self.recipes.default,
            *(f"{name}:{r.version}" for name, r in sorted(self.recipes.by_name.items())),
        ]
        return ProgressFile.of(self.state_folder, "redevelopment", "\n".join(identity))

    def _stored(self) -> Progress:
        return self._progress_file.read(_progress) or Progress()


def _progress(found: dict[str, Any]) -> Progress:
    owner, image_id = found["position"]
    return Progress(**found | {"position": (owner, image_id)})


def _time(record: ImageRecord) -> datetime:
    moment = datetime.fromisoformat(record.listed_at)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
