"""A run of three photos whose books balance, for tests that then spoil one thing."""

from __future__ import annotations

from services.catalog.model import ImageRecord, ImageStatus, Source, StoredRendition
from services.events.images import ImageEventType, event_id
from services.load_test.generator import Upload
from services.load_test.observations import Depth, Observations
from services.monitoring.dead_letter_queues import DeadLetter

OWNER = "load-test"
KEYS = tuple(f"{OWNER}/{n:06d}/photo-{n}.jpg" for n in range(3))
IMAGES = tuple(f"{n:032x}" for n in range(3))
REJECTED = 2  # the number of the one that is no photo


def upload(number: int, problem: str | None = None) -> Upload:
    expected = ImageStatus.REJECTED if number == REJECTED else ImageStatus.DEVELOPED
    at = 100.0 + number
    return Upload(KEYS[number], IMAGES[number], 1000, expected, at, at + 0.1, at + 0.5, problem)


def record(number: int) -> ImageRecord:
    rejected = number == REJECTED
    key = f"{OWNER}/{IMAGES[number]}/thumb.jpg"
    return ImageRecord(
        owner=OWNER,
        image_id=IMAGES[number],
        status=ImageStatus.REJECTED if rejected else ImageStatus.DEVELOPED,
        source_keys=frozenset({KEYS[number]}),
        listed_at="2026-11-23T12:00:00Z",
        reason="damaged" if rejected else None,
        renditions=() if rejected else (StoredRendition("thumb", "jpeg", 160, 120, 5000, key),),
    )


def source(number: int) -> Source:
    return Source(KEYS[number], f"seq-{number}", IMAGES[number], announced=True)


def event(number: int) -> str:
    kind = ImageEventType.REJECTED if number == REJECTED else ImageEventType.DEVELOPED
    return event_id(kind, OWNER, KEYS[number], f"seq-{number}")


def letter(error_type: str = "TimeoutError", body: str = "{}") -> DeadLetter:
    return DeadLetter(
        function="send-image-email",
        message_id="m-1",
        reason="it took too long",
        error_type=error_type,
        request_id="r-1",
        attempts=5,
        failed_at="2026-11-23T12:00:00Z",
        sent_at="2026-11-23T12:00:00Z",
        body=body,
        receipt_handle="handle",
    )


def observations() -> Observations:
    records = [record(n) for n in range(3)]
    return Observations(
        uploads=tuple(upload(n) for n in range(3)),
        sources={KEYS[n]: source(n) for n in range(3)},
        records={r.image_id: r for r in records},
        renditions=frozenset(s.key for r in records for s in r.renditions),
        mails=tuple(event(n) for n in range(3)),
        depths={"process-image": Depth(0, 0), "send-image-email": Depth(0, 0)},
        dead_letters=(),
    )
