"""The corpus of damaged photos on a real worker: each is developed or rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.imaging.model import RejectionReason
from services.local import develop
from services.local.state import LabState
from tests.support.damaged_photos import damaged_corpus

pytestmark = pytest.mark.slow

REASONS = {reason.value for reason in RejectionReason}


def test_damaged_photos_are_developed_or_rejected_without_crash(
    lab: LabState, tmp_path: Path
) -> None:
    count = 0
    for name, content in damaged_corpus():
        (tmp_path / f"{count:04}-{name.replace('/', '_')}").write_bytes(content)
        count += 1
    assert count >= 300
    outcomes = list(develop.develop_all(lab, develop.find_photos([tmp_path])))
    assert len(outcomes) == count
    for outcome in outcomes:
        document = outcome.document()
        assert document["status"] in ("developed", "rejected"), outcome.path.name
        if document["status"] == "rejected":
            # A reason of imaging, not "failed-repeatedly": no photo crashed its process.
            assert document["reason"] in REASONS, (outcome.path.name, document["reason"])
            assert document["message"]
    log = (Path(lab.mail_folder).parent / "logs" / "worker.log").read_text()
    assert "Runtime.ExitError" not in log
    assert "Task timed out" not in log
