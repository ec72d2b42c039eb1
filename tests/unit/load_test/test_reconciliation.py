"""Each thing that can be wrong with a run is found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.catalog.model import ImageStatus
from services.load_test.observations import Depth, Observations
from services.load_test.reconciliation import DOUBLED, LOST, Fault, Reconciliation, reconcile

from .examples import IMAGES, KEYS, event, letter, observations, record, source, upload

Spoil = Callable[[Observations], Observations]


def test_reconciliation_of_correct_run_has_no_discrepancies() -> None:
    assert reconcile(observations()) == Reconciliation(
        uploaded=3, developed=2, rejected=1, notified=3, discrepancies=()
    )
    assert reconcile(observations()).balanced


def _with_record(number: int, **changes: object) -> Spoil:
    def spoil(found: Observations) -> Observations:
        changed = replace(record(number), **changes)  # type: ignore[arg-type]
        return replace(found, records={**found.records, IMAGES[number]: changed})

    return spoil


def _with_source(number: int, **changes: object) -> Spoil:
    def spoil(found: Observations) -> Observations:
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
def test_reconciliation_of_spoiled_run_finds_the_faults(
    spoil: Spoil, expected: list[Fault]
) -> None:
    reconciliation = reconcile(spoil(observations()))
    assert [d.fault for d in reconciliation.discrepancies] == expected
    assert not reconciliation.balanced


def test_spoiled_runs_cover_every_fault() -> None:
    assert {fault for _, faults in SPOILED.values() for fault in faults} == set(Fault)


def test_photo_with_two_emails_is_not_counted_as_notified() -> None:
    found = observations()
    assert reconcile(replace(found, mails=(*found.mails, event(0)))).notified == 2


def test_reconciliation_counts_lost_and_doubled_separately() -> None:
    found = observations()
    reconciliation = reconcile(replace(found, mails=(event(0), event(0), event(1))))
    assert (reconciliation.count(LOST), reconciliation.count(DOUBLED)) == (1, 1)


def test_photo_without_expected_status_reconciles() -> None:
    found = observations()
    uploads = tuple(replace(u, expected=None) for u in found.uploads)
    assert reconcile(replace(found, uploads=uploads)).balanced


def test_upload_without_response_that_arrived_is_one_discrepancy() -> None:
    found = observations()
    uploads = (replace(found.uploads[0], problem="ReadTimeoutError"), *found.uploads[1:])
    reconciliation = reconcile(replace(found, uploads=uploads))
    assert [d.fault for d in reconciliation.discrepancies] == [Fault.NOT_UPLOADED]
    assert (reconciliation.uploaded, reconciliation.notified) == (2, 2)
