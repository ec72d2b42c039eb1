"""Balances the books of a run: every photo once in the catalogue, one e-mail each, nothing left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.catalog.model import ImageStatus
from services.events.images import ImageEventType, event_id
from services.load_test.generator import Upload
from services.load_test.observations import Evidence


class Fault(StrEnum):
    """What can be wrong with the books; the value is what a reader sees."""

    NOT_UPLOADED = "not uploaded"
    PHOTO_LOST = "photo lost"
    PHOTO_DOUBLED = "photo doubled"
    WRONG_OUTCOME = "wrong outcome"
    RENDITION_LOST = "rendition lost"
    RENDITION_STRAY = "rendition of no photo"
    MAIL_LOST = "e-mail lost"
    MAIL_DOUBLED = "e-mail doubled"
    MAIL_STRAY = "e-mail about nothing"
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
class Books:
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


def balance(evidence: Evidence) -> Books:
    """The books of a run."""
    arrived = [upload for upload in evidence.uploads if upload.problem is None]
    outcomes = Counter(_status(evidence, upload) for upload in arrived)
    mails = Counter(evidence.mails)
    # An upload that got no answer may have arrived all the same: then it is no stray, either.
    told = {u.key: _event(evidence, u) for u in evidence.uploads}
    counted = {u.key: told[u.key] for u in arrived}
    return Books(
        uploaded=len(arrived),
        developed=outcomes[ImageStatus.DEVELOPED],
        rejected=outcomes[ImageStatus.REJECTED],
        notified=sum(event is not None and mails[event] == 1 for event in counted.values()),
        discrepancies=(
            *(
                Discrepancy(Fault.NOT_UPLOADED, u.key, u.problem)
                for u in evidence.uploads
                if u.problem is not None
            ),
            *_photos(evidence, arrived),
            *_renditions(evidence),
            *_mails(mails, counted),
            *(
                Discrepancy(Fault.MAIL_STRAY, event, f"{mails[event]} e-mails for no photo of ours")
                for event in mails.keys() - set(told.values())
            ),
            *_queues(evidence),
        ),
    )


def _status(evidence: Evidence, upload: Upload) -> ImageStatus | None:
    """What the catalogue says became of the photo; None when it has not come to an end."""
    source = evidence.sources.get(upload.key)
    record = evidence.records.get(upload.image_id)
    if source is None or record is None or not record.settled or not source.announced:
        return None
    return record.status if source.image_id == upload.image_id else None


def _event(evidence: Evidence, upload: Upload) -> str | None:
    """The id of the event that must have been told about the photo, once."""
    status = _status(evidence, upload)
    if status is None:
        return None
    kind = ImageEventType.DEVELOPED if status is ImageStatus.DEVELOPED else ImageEventType.REJECTED
    owner = upload.key.partition("/")[0]
    return event_id(kind, owner, upload.key, evidence.sources[upload.key].sequencer)


def _photos(evidence: Evidence, arrived: list[Upload]) -> Iterator[Discrepancy]:
    for upload in arrived:
        status = _status(evidence, upload)
        record = evidence.records.get(upload.image_id)
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
    wanted = {upload.image_id for upload in evidence.uploads}
    for stray in evidence.records.keys() - wanted:
        yield Discrepancy(Fault.PHOTO_DOUBLED, stray, "a record of a photo that nobody uploaded")


def _renditions(evidence: Evidence) -> Iterator[Discrepancy]:
    named = {r.key for record in evidence.records.values() for r in record.renditions}
    for key in sorted(named - evidence.renditions):
        yield Discrepancy(Fault.RENDITION_LOST, key, "in the catalogue, not in the bucket")
    for key in sorted(evidence.renditions - named):
        yield Discrepancy(Fault.RENDITION_STRAY, key, "in the bucket, not in the catalogue")


def _mails(mails: Counter[str], told: dict[str, str | None]) -> Iterator[Discrepancy]:
    for key, event in told.items():
        if event is None:
            continue  # the photo itself is lost, and reported
        if not mails[event]:
            yield Discrepancy(Fault.MAIL_LOST, key, f"no e-mail for event {event}")
        elif mails[event] > 1:
            yield Discrepancy(Fault.MAIL_DOUBLED, key, f"{mails[event]} e-mails for event {event}")


def _queues(evidence: Evidence) -> Iterator[Discrepancy]:
    for function, depth in evidence.depths.items():
        if depth.total:
            yield Discrepancy(
                Fault.LEFT_IN_QUEUE,
                function,
                f"{depth.waiting} waiting, {depth.in_flight} in flight",
            )
    for letter in evidence.dead_letters:
        yield Discrepancy(
            Fault.DEAD_LETTER,
            f"{letter.function} {letter.message_id}",
            f"{letter.error_type}: {letter.reason}",
        )
