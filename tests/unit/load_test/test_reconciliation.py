"""Each thing that can be wrong with a run is found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.catalog.model import ImageStatus
from services.load_test.observations import Depth, Evidence
from services.load_test.reconciliation import DOUBLED, LOST, Books, Fault, balance

from .examples import IMAGES, KEYS, event, evidence, letter, record, source, upload

Spoil = Callable[[Evidence], Evidence]


def test_a_run_that_went_well_balances() -> None:
    assert balance(evidence()) == Books(
        uploaded=3, developed=2, rejected=1, notified=3, discrepancies=()
    )
    assert balance(evidence()).balanced


def _with_record(number: int, **changes: object) -> Spoil:
    def spoil(found: Evidence) -> Evidence:
        changed = replace(record(number), **changes)  # type: ignore[arg-type]
        return replace(found, records={**found.records, IMAGES[number]: changed})

    return spoil


def _with_source(number: int, **changes: object) -> Spoil:
    def spoil(found: Evidence) -> Evidence:
        changed = replace(source(number), **changes)  # type: ignore[arg-type]
        return replace(found, sources={**found.sources, KEYS[number]: changed})

    return spoil


SPOILED: dict[str, tuple[Spoil, list[Fault]]] = {
    "no record of a photo, and its e-mail and rendition are of none": (
        lambda e: replace(e, records={k: v for k, v in e.records.items() if k != IMAGES[0]}),
        [Fault.PHOTO_LOST, Fault.RENDITION_STRAY, Fault.MAIL_STRAY],
    ),
    "no source of a photo": (
        lambda e: replace(e, sources={k: v for k, v in e.sources.items() if k != KEYS[2]}),
        [Fault.PHOTO_LOST, Fault.MAIL_STRAY],
    ),
    "a photo that is still being developed": (
        _with_record(2, status=ImageStatus.DEVELOPING),
        [Fault.PHOTO_LOST, Fault.MAIL_STRAY],
    ),
    "a photo that was not announced": (
        _with_source(0, announced=False),
        [Fault.PHOTO_LOST, Fault.MAIL_STRAY],
    ),
    "a source of another image": (
        _with_source(0, image_id=IMAGES[1]),
        [Fault.PHOTO_LOST, Fault.MAIL_STRAY],
    ),
    "a record that two uploads share": (
        _with_record(1, source_keys=frozenset(KEYS[:2])),
        [Fault.PHOTO_DOUBLED],
    ),
    "a record of no upload": (
        lambda e: replace(
            e, records={**e.records, "f" * 32: replace(record(2), image_id="f" * 32)}
        ),
        [Fault.PHOTO_DOUBLED],
    ),
    "a good photo that was rejected": (
        _with_record(2, status=ImageStatus.DEVELOPED),
        [Fault.WRONG_OUTCOME, Fault.MAIL_LOST, Fault.MAIL_STRAY],
    ),
    "a rendition that is not there": (
        lambda e: replace(e, renditions=frozenset(list(e.renditions)[:1])),
        [Fault.RENDITION_LOST],
    ),
    "a rendition of no photo": (
        lambda e: replace(e, renditions=e.renditions | {"load-test/other/thumb.jpg"}),
        [Fault.RENDITION_STRAY],
    ),
    "no e-mail": (lambda e: replace(e, mails=e.mails[:2]), [Fault.MAIL_LOST]),
    "two e-mails": (lambda e: replace(e, mails=(*e.mails, event(0))), [Fault.MAIL_DOUBLED]),
    "an e-mail about nothing": (
        lambda e: replace(e, mails=(*e.mails, "unknown")),
        [Fault.MAIL_STRAY],
    ),
    "a message waiting": (
        lambda e: replace(e, depths={**e.depths, "process-image": Depth(1, 0)}),
        [Fault.LEFT_IN_QUEUE],
    ),
    "a message in flight": (
        lambda e: replace(e, depths={**e.depths, "send-image-email": Depth(0, 1)}),
        [Fault.LEFT_IN_QUEUE],
    ),
    "a dead letter": (lambda e: replace(e, dead_letters=(letter(),)), [Fault.DEAD_LETTER]),
    "an upload that failed": (
        lambda e: replace(e, uploads=(*e.uploads, replace(upload(0), key="x", problem="refused"))),
        [Fault.NOT_UPLOADED],
    ),
}


@pytest.mark.parametrize(("spoil", "expected"), SPOILED.values(), ids=SPOILED)
def test_what_is_wrong_is_found(spoil: Spoil, expected: list[Fault]) -> None:
    books = balance(spoil(evidence()))
    assert [d.fault for d in books.discrepancies] == expected
    assert not books.balanced


def test_every_fault_is_tried() -> None:
    assert {fault for _, faults in SPOILED.values() for fault in faults} == set(Fault)


def test_a_photo_told_twice_is_not_counted_as_told_once() -> None:
    found = evidence()
    assert balance(replace(found, mails=(*found.mails, event(0)))).notified == 2


def test_lost_and_doubled_are_counted_apart() -> None:
    found = evidence()
    books = balance(replace(found, mails=(event(0), event(0), event(1))))
    assert (books.count(LOST), books.count(DOUBLED)) == (1, 1)


def test_photos_of_a_folder_have_no_expected_outcome() -> None:
    found = evidence()
    uploads = tuple(replace(u, expected=None) for u in found.uploads)
    assert balance(replace(found, uploads=uploads)).balanced


def test_an_upload_that_got_no_answer_and_arrived_is_wrong_in_that_alone() -> None:
    found = evidence()
    uploads = (replace(found.uploads[0], problem="ReadTimeoutError"), *found.uploads[1:])
    books = balance(replace(found, uploads=uploads))
    assert [d.fault for d in books.discrepancies] == [Fault.NOT_UPLOADED]
    assert (books.uploaded, books.notified) == (2, 2)
