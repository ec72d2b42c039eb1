"""Develops images again whose recipe changed: sends a request for each to process-image.

A run stores its position after each group of messages, so that a second run of the same selection
goes on where the first one ended. process-image skips an image that is up to date, so a request
that is sent twice does no harm.
"""

from __future__ import annotations

import hashlib
import json
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
from services.platform.errors import TransientError

# The maximum of one SQS call.
_BATCH_MAX = 10
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
            if len(batch) == _BATCH_MAX:
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
            answer = self.sqs.send_message_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {"Id": str(number), "MessageBody": request.encode()}
                    for number, request in enumerate(batch)
                ],
            )
            if failed := answer.get("Failed"):
                raise TransientError(
                    f"SQS did not take {len(failed)} of {len(batch)} messages "
                    f"({failed[0].get('Message', 'no reason given')}); run the command again"
                )
        if done.finished:
            self._state_file.unlink(missing_ok=True)
            return
        self._store(done)
        time.sleep(len(batch) / per_second)

    def _records(self, position: tuple[str, str] | None) -> Iterator[ImageRecord]:
        """The images of the selected owner, or of all, after `position`."""
        return self.catalog.every_image(self.selection.owner, position, _PAGE_ITEMS)

    # -- the state of an unfinished run

    @property
    def _state_file(self) -> Path:
        """One file for each selection and content of the recipes, in each lab."""
        identity = [
            self.queue_url,
            self.catalog.table,
            *(str(value) for value in asdict(self.selection).values()),
            self.recipes.default,
            *(f"{name}:{r.version}" for name, r in sorted(self.recipes.by_name.items())),
        ]
        digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:16]
        return self.state_folder / f"redevelopment-{digest}.json"

    def _stored(self) -> Progress:
        try:
            found = json.loads(self._state_file.read_text(encoding="utf-8"))
            owner, image_id = found["position"]
            return Progress(**found | {"position": (owner, image_id)})
        except FileNotFoundError:
            return Progress()
        except (ValueError, KeyError, TypeError) as error:
            raise TransientError(
                f"{self._state_file} is damaged ({error!r}); delete it to begin anew"
            ) from None

    def _store(self, done: Progress) -> None:
        self.state_folder.mkdir(parents=True, exist_ok=True)
        draft = self._state_file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(done)), encoding="utf-8")
        draft.replace(self._state_file)


def _time(record: ImageRecord) -> datetime:
    moment = datetime.fromisoformat(record.listed_at)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
