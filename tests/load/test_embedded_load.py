"""A small load test on an embedded lab: no photo is lost or doubled while workers die."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from services.cli import load_test, main
from services.load_test import runner
from services.local.emulator import ACCESS_KEY_ID

pytestmark = pytest.mark.slow

PHOTOS = 30
# Photos settled decide when a worker is killed, not the seconds that they took.
PHOTOS_PER_KILL = 8


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A few small photos and a file that is not a photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, colour in enumerate(("red", "green", "blue", "grey")):
        Image.new("RGB", (1600, 1200), colour).save(folder / f"{number}.jpg")
    (folder / "letter.jpg").write_text("I am no photo.")
    return folder


def test_embedded_run_with_faults_reconciles(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(load_test, "FOLDER", tmp_path / "load")
    monkeypatch.setattr(runner, "SETTLED_BETWEEN_KILLS", PHOTOS_PER_KILL)
    code = main.main(
        ["load-test", "--embedded", "--faults", "--photos", str(photos), "--count", str(PHOTOS),
         "--rate", "3", "--workers", "2", "--kill-every", "0.1"]
    )  # fmt: skip
    told = capsys.readouterr().out
    (page,) = (tmp_path / "load").glob("*/report.html")
    report = json.loads(page.with_suffix(".json").read_text())
    assert code == 0, told
    assert f"{PHOTOS} photos, nothing lost, nothing doubled." in told
    assert (report["books"]["developed"], report["books"]["rejected"]) == (24, 6)
    assert report["books"]["notified"] == PHOTOS
    assert 2 <= len(report["kills"]) <= PHOTOS // PHOTOS_PER_KILL
    assert report["figures"]["latency"]["count"] == PHOTOS
    # Other functions may run too, such as start-orders once a minute.
    assert {w["function"] for w in report["figures"]["workers"]} >= {
        "process-image",
        "send-image-email",
    }
    assert {name for s in report["samples"] for name in s["memory_mib"]} == {"worker-1", "worker-2"}
    assert ACCESS_KEY_ID not in page.read_text()


def test_photos_of_a_second_owner_do_not_wait_for_the_many_of_the_first(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_test, "FOLDER", tmp_path / "load")
    code = main.main(
        ["load-test", "--embedded", "--photos", str(photos), "--count", "80", "--rate", "40",
         "--workers", "1", "--other-owner", "4"]
    )  # fmt: skip
    (page,) = (tmp_path / "load").glob("*/report.json")
    report = json.loads(page.read_text())
    assert code == 0
    assert report["books"]["notified"] == 84
    assert [waits["count"] for waits in report["figures"]["waiting"].values()] == [80, 4]
    overtaken = photos_overtaken(report["uploaded_seconds"], report["latency_seconds"])
    # In the order of their uploads, no photo but those in work at the same time would be overtaken.
    assert len(overtaken) == 4
    assert min(overtaken.values()) >= 6, overtaken


def photos_overtaken(uploaded: dict[str, float], waited: dict[str, float]) -> dict[str, int]:
    """For each photo of the second owner, how many of the first one were uploaded before it and
    settled after it."""
    settled = {key: uploaded[key] + seconds for key, seconds in waited.items()}
    others = [key for key in settled if key.split("/")[0].endswith("-other")]
    return {
        other: sum(
            uploaded[key] < uploaded[other] and settled[key] > settled[other]
            for key in settled
            if key not in others
        )
        for other in others
    }
