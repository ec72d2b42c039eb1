"""Photos are neither lost nor doubled while worker processes are killed.

DARKROOM_FAULT_PHOTOS sets the number of photos (default 300; the full test has 1000).
"""

from __future__ import annotations

import io
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from services.catalog.store import Catalog
from services.local import develop
from services.local import lab as labs
from services.local.mailbox import sent_mails
from services.local.options import LabOptions
from services.local.parts import WORKER
from services.local.state import LabFiles, LabState, alive
from services.monitoring import dead_letters
from services.platform.manifest import Feature
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

PHOTOS = int(os.environ.get("DARKROOM_FAULT_PHOTOS", "300"))
# A message has five receives. Between two kills the hosts send this many e-mails, so few kills hit
# the same message, however slow the machine is.
MAILS_PER_KILL = 15


def make_photos(folder: Path, count: int) -> None:
    """Writes small photos with different content."""
    rng = random.Random(1)
    for number in range(count):
        picture = Image.new("RGB", (800, 600), tuple(rng.randrange(256) for _ in range(3)))
        draw = ImageDraw.Draw(picture)
        for _ in range(20):
            corners = sorted(rng.randrange(600) for _ in range(2))
            draw.rectangle((*corners[:1], 10, *corners[1:], 590), rng.randrange(1 << 24))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG")
        (folder / f"{number:04}.jpg").write_bytes(buffer.getvalue())


class Killer(threading.Thread):
    """Kills the worker hosts of the lab in turn, one after each MAILS_PER_KILL e-mails."""

    def __init__(self, files: LabFiles) -> None:
        super().__init__()
        self.files, self.kills, self.ended = files, Counter[str](), threading.Event()

    def run(self) -> None:
        mails_before = 0
        while not self.ended.wait(0.05):
            mails = len(list(self.files.mail.glob("*.eml")))
            if mails < mails_before + MAILS_PER_KILL:
                continue
            mails_before = mails
            state = self.files.read()
            workers = [c for c in state.children if c.name.startswith(WORKER)] if state else []
            least = sorted(workers, key=lambda child: self.kills[child.name])
            if least and alive(least[0].pid):
                os.kill(least[0].pid, signal.SIGKILL)
                self.kills[least[0].name] += 1


@pytest.fixture
def faulty_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabState]:
    monkeypatch.setenv("MAIL_PHOTOS_PER_DAY", "0")  # an e-mail about each photo
    # Short timeouts return the messages of a killed worker early.
    monkeypatch.setenv("WORKER_VISIBILITY_SECONDS", "5")
    state = labs.up(tmp_path / "lab", LabOptions(workers=2, features=(Feature.PHOTOS,)))
    yield state
    labs.down(tmp_path / "lab")


def test_killed_workers_lose_and_double_no_photo(
    faulty_lab: LabState, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    make_photos(photos, PHOTOS)
    killer = Killer(LabFiles(tmp_path / "lab"))
    killer.start()
    try:
        outcomes = list(develop.develop_all(faulty_lab, develop.find_photos([photos])))
        mails = wait_for_quiet(faulty_lab)
    finally:
        killer.ended.set()
        killer.join()
    record_testsuite_property("kills", sum(killer.kills.values()))
    assert sum(killer.kills.values()) >= 4, "too quick for the test to mean something"
    assert Counter(o.record.status.value for o in outcomes if o.record) == {"developed": PHOTOS}
    ids = [outcome.record.image_id for outcome in outcomes if outcome.record]
    assert len(set(ids)) == PHOTOS
    catalog = Catalog(faulty_lab.session.client("dynamodb"), faulty_lab.tables["images"])
    assert {r.image_id for r in catalog.images(develop.OWNER, ids)} == set(ids)
    assert Counter(Counter(mails).values()) == {1: PHOTOS}, "one e-mail for each event"


def wait_for_quiet(lab: LabState) -> list[str]:
    """Waits for empty queues without dead letters; returns the event of each e-mail."""
    sqs = lab.session.client("sqs")

    def quiet() -> bool:
        for queue in lab.queues.values():
            counts = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])
            if any(
                int(counts["Attributes"][f"ApproximateNumberOfMessages{kind}"])
                for kind in ("", "NotVisible")
            ):
                return False
        return True

    eventually(quiet, "all queues are empty", 120, 0.5)
    assert dead_letters.peek(sqs, lab.queues) == []
    time.sleep(1)  # the emulator delivers e-mails in the background
    return [mail.event_id for mail in sent_mails(Path(lab.mail_folder))]
