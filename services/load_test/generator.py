"""Uploads photos at a given rate, without waiting for results: an open loop.

A generator that waits for the lab would slow down with it, and hide how slow it is.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.catalog.model import METADATA_NOTIFY, ImageStatus, OriginalName, image_id
from services.load_test.photos import Album
from services.load_test.plan import Plan

RECIPIENT = "customer@darkroom.example"
# More uploads at a time than this would measure the emulator's front door, not the lab.
UPLOADS_AT_ONCE = 32


@dataclass(frozen=True)
class Upload:
    """One photo that was sent. Times in seconds since the epoch; `due` is when it should have
    begun. `problem` says why it did not arrive."""

    key: str
    image_id: str
    size: int
    expected: ImageStatus | None
    due: float
    began: float
    ended: float
    problem: str | None = None

    @property
    def owner(self) -> str:
        return self.key.partition("/")[0]


class Generator:
    """Uploads the plan's photos. `run` blocks; the rest may be called from any thread."""

    def __init__(self, plan: Plan, album: Album, s3: Any, bucket: str) -> None:
        self._plan = plan
        self._album = album
        self._s3 = s3
        self._bucket = bucket
        self._lock = threading.Lock()
        self._uploads: list[Upload] = []
        self._stop = threading.Event()

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """Those that have ended so far."""
        with self._lock:
            return tuple(self._uploads)

    def stop(self) -> None:
        """No further uploads."""
        self._stop.set()

    def run(self) -> None:
        """Uploads all of them, each at its time."""
        start = time.time()
        with ThreadPoolExecutor(UPLOADS_AT_ONCE, thread_name_prefix="upload") as pool:
            tasks = []
            for number, appointment in enumerate(self._plan.timetable):
                due = start + appointment.seconds
                if self._stop.wait(max(0.0, due - time.time())):
                    break
                tasks.append(pool.submit(self._upload, number, appointment.owner, due))
            for task in tasks:
                task.result()

    def _upload(self, number: int, owner: str, due: float) -> None:
        if self._stop.is_set():
            return
        began, problem, size, identity = time.time(), None, 0, ""
        filename, expected = f"{number:06d}", None
        try:
            photo = self._album.photo(number)
            filename, expected, size = photo.filename, photo.expected, len(photo.content)
            identity = image_id(photo.content)
            key = OriginalName(owner, f"{number:06d}", filename).key
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=photo.content,
                Metadata={METADATA_NOTIFY: RECIPIENT},
            )
        except (OSError, BotoCoreError, ClientError) as error:
            key = OriginalName(owner, f"{number:06d}", filename).key
            problem = f"{type(error).__name__}: {error}"
        done = Upload(key, identity, size, expected, due, began, time.time(), problem)
        with self._lock:
            self._uploads.append(done)
