"""Reconciles a run: every photo once in the catalogue, one e-mail each, empty queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.catalog.model import ImageStatus
from services.events.images import ImageEventType, event_id
from services.load_test.generator import Upload
from services.load_test.observations import Observations


class Fault(StrEnum):
    """The kinds of discrepancies; the value is the text in reports."""

    NOT_UPLOADED = "not uploaded"
    PHOTO_LOST = "photo lost"
    PHOTO_DOUBLED = "photo doubled"
    WRONG_OUTCOME = "wrong outcome"
    RENDITION_LOST = "rendition lost"
    RENDITION_STRAY = "rendition without a photo"
    MAIL_LOST = "e-mail lost"
    MAIL_DOUBLED = "e-mail doubled"
    MAIL_STRAY = "e-mail without a photo"
    LEFT_IN_QUEUE = "left in a queue"
    DEAD_LETTER = "dead letter"


LOST = frozenset({Fault.PHOTO_LOST, Fault.RENDITION_LOST, Fault.MAIL_LOST})
DOUBLED = frozenset(
    {Fault.PHOTO_DOUBLED, Fault.RENDITION_STRAY, Fault.MAIL_DOUBLED, Fault.MAIL_STRAY}
)


@dataclass(frozen=True)
class Discrepancy:
    """One thing that does not add up. `subject` is a key, an event id or a function."""

    fault: Fault
    subject: str
    detail: str


@dataclass(frozen=True)
class Reconciliation:
    """The totals, and everything that is wrong with them. `notified` counts photos whose owner got
    exactly one e-mail."""

    uploaded: int
    developed: int
    rejected: int
    notified: int
    discrepancies: tuple[Discrepancy, ...]

    @property
    def balanced(self) -> bool:
        return not self.discrepancies

    def count(self, faults: frozenset[Fault]) -> int:
        return sum(d.fault in faults for d in self.discrepancies)


def reconcile(observations: Observations) -> Reconciliation:
    """Reconciles a run."""
    arrived = [upload for upload in observations.uploads if upload.problem is None]
    outcomes = Counter(_status(observations, upload) for upload in arrived)
    mails = Counter(observations.mails)
    # An upload that got no answer may have arrived all the same: then it is no stray, either.
    expected = {u.key: _event(observations, u) for u in observations.uploads}
    counted = {u.key: expected[u.key] for u in arrived}
    return Reconciliation(
        uploaded=len(arrived),
        developed=outcomes[ImageStatus.DEVELOPED],
        rejected=outcomes[ImageStatus.REJECTED],
        notified=sum(event is not None and mails[event] == 1 for event in counted.values()),
        discrepancies=(
            *(
                Discrepancy(Fault.NOT_UPLOADED, u.key, u.problem)
                for u in observations.uploads
                if u.problem is not None
            ),
            *_photos(observations, arrived),
            *_renditions(observations),
            *_mails(mails, counted),
            *(
                Discrepancy(Fault.MAIL_STRAY, event, f"{mails[event]} e-mails for no photo of ours")
                for event in mails.keys() - set(expected.values())
            ),
            *_queues(observations),
        ),
    )


def _status(observations: Observations, upload: Upload) -> ImageStatus | None:
    """What the catalogue says became of the photo; None when it has not come to an end."""
    source = observations.sources.get(upload.key)
    record = observations.records.get(upload.image_id)
    if source is None or record is None or not record.settled or not source.announced:
        return None
    return record.status if source.image_id == upload.image_id else None


def _event(observations: Observations, upload: Upload) -> str | None:
    """The id of the event that must have been published about the photo."""
    status = _status(observations, upload)
    if status is None:
        return None
    kind = ImageEventType.DEVELOPED if status is ImageStatus.DEVELOPED else ImageEventType.REJECTED
    return event_id(kind, upload.owner, upload.key, observations.sources[upload.key].sequencer)


def _photos(observations: Observations, arrived: list[Upload]) -> Iterator[Discrepancy]:
    for upload in arrived:
        status = _status(observations, upload)
        record = observations.records.get(upload.image_id)
        if status is None or record is None:
            at = record.status.value if record is not None else "not there"
            yield Discrepancy(
                Fault.PHOTO_LOST, upload.key, f"in the catalogue it is {at}, or not announced"
            )
            continue
        if record.source_keys != {upload.key}:
            yield Discrepancy(
                Fault.PHOTO_DOUBLED, upload.key, f"its record has {sorted(record.source_keys)}"
            )
        if upload.expected not in (None, status):
            yield Discrepancy(
                Fault.WRONG_OUTCOME, upload.key, f"{status.value}: {record.reason or 'no reason'}"
            )
    wanted = {upload.image_id for upload in observations.uploads}
    for stray in observations.records.keys() - wanted:
        yield Discrepancy(Fault.PHOTO_DOUBLED, stray, "a record of a photo that was not uploaded")


def _renditions(observations: Observations) -> Iterator[Discrepancy]:
    named = {r.key for record in observations.records.values() for r in record.renditions}
    for key in sorted(named - observations.renditions):
        yield Discrepancy(Fault.RENDITION_LOST, key, "in the catalogue, not in the bucket")
    for key in sorted(observations.renditions - named):
        yield Discrepancy(Fault.RENDITION_STRAY, key, "in the bucket, not in the catalogue")


def _mails(mails: Counter[str], expected: dict[str, str | None]) -> Iterator[Discrepancy]:
    for key, event in expected.items():
        if event is None:
            continue  # the photo itself is lost, and reported
        if not mails[event]:
            yield Discrepancy(Fault.MAIL_LOST, key, f"no e-mail for event {event}")
        elif mails[event] > 1:
            yield Discrepancy(Fault.MAIL_DOUBLED, key, f"{mails[event]} e-mails for event {event}")


def _queues(observations: Observations) -> Iterator[Discrepancy]:
    for function, depth in observations.depths.items():
        if depth.total:
            yield Discrepancy(
                Fault.LEFT_IN_QUEUE,
                function,
                f"{depth.waiting} waiting, {depth.in_flight} in flight",
            )
    for letter in observations.dead_letters:
        yield Discrepancy(
            Fault.DEAD_LETTER,
            f"{letter.function} {letter.message_id}",
            f"{letter.error_type}: {letter.reason}",
        )
