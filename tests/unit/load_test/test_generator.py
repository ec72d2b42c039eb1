"""Uploads come at their times, whatever the lab does; no two photos are alike."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.catalog.model import ImageStatus, image_id
from services.load_test.generator import Generator
from services.load_test.photos import DAMAGED, DAMAGED_EVERY, Album, album_of, sample_album
from services.load_test.plan import Plan
from services.platform.errors import PermanentError
from tests.support.waiting import scaled


class FakeS3:
    def __init__(self, seconds: float = 0.0, fails: bool = False) -> None:
        self.seconds, self.fails = seconds, fails
        self.bodies: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def put_object(self, **call: Any) -> None:
        time.sleep(self.seconds)
        if self.fails:
            raise EndpointConnectionError(endpoint_url="http://nowhere")
        with self.lock:
            self.bodies[call["Key"]] = call["Body"]


def plan(count: int, rate: float) -> Plan:
    return Plan("run", count, rate, 1, False, None, Path("folder"))


@pytest.fixture
def album(tmp_path: Path) -> Album:
    (tmp_path / "a.jpg").write_bytes(b"picture")
    return album_of(tmp_path, "run")


def test_generator_on_slow_lab_keeps_its_rate(album: Album) -> None:
    generator = Generator(plan(10, 50.0), album, FakeS3(seconds=0.5), "bucket")
    began = time.monotonic()
    generator.run()
    # One after another they would take 5 s.
    assert time.monotonic() - began < 1.5
    dues = [u.due for u in sorted(generator.uploads, key=lambda u: u.due)]
    assert dues[-1] - dues[0] == pytest.approx(9 / 50)
    assert all(u.ended - u.began >= 0.5 for u in generator.uploads)


def test_generator_uploads_photos_with_unique_content(album: Album) -> None:
    s3 = FakeS3()
    generator = Generator(plan(5, 1000.0), album, s3, "bucket")
    generator.run()
    assert len({u.image_id for u in generator.uploads}) == 5
    assert {u.key: u.image_id for u in generator.uploads} == {
        key: image_id(body) for key, body in s3.bodies.items()
    }


def test_upload_of_missing_file_records_problem() -> None:
    album = Album("run", (Path("/nowhere.jpg"),), (), known=False)
    generator = Generator(plan(1, 1000.0), album, FakeS3(), "bucket")
    generator.run()
    assert "No such file" in (generator.uploads[0].problem or "")


def test_upload_to_unreachable_lab_records_problem(album: Album) -> None:
    generator = Generator(plan(2, 1000.0), album, FakeS3(fails=True), "bucket")
    generator.run()
    assert all("nowhere" in (u.problem or "") for u in generator.uploads)


def test_generator_stopped_ends_early(album: Album) -> None:
    generator = Generator(plan(1000, 1.0), album, FakeS3(), "bucket")
    thread = threading.Thread(target=generator.run)
    thread.start()
    generator.stop()
    thread.join(scaled(10))
    assert not thread.is_alive()
    assert len(generator.uploads) <= 1


def test_sample_album_includes_damaged_photos(tmp_path: Path) -> None:
    for name in ("01-good.jpg", *DAMAGED):
        (tmp_path / name).write_bytes(name.encode())
    album = sample_album(tmp_path, "run")
    expected = [album.photo(n).expected for n in range(4 * DAMAGED_EVERY)]
    assert expected.count(ImageStatus.REJECTED) == 4
    assert {n for n, e in enumerate(expected) if e is ImageStatus.REJECTED} == {24, 49, 74, 99}


def test_album_of_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="found no file"):
        album_of(tmp_path, "run")


def test_timetable_with_second_owner_uploads_their_photos_one_by_one_among_the_first_ones() -> None:
    wanted = dataclasses.replace(plan(100, 10.0), other_owner=3)
    second = [a.seconds for a in wanted.timetable if a.owner == wanted.second_owner]
    assert second == [5.0, 7.0, 9.0]
    assert len(wanted.timetable) == wanted.total == 103
    assert wanted.owners == (wanted.owner, wanted.second_owner)


def test_generator_with_second_owner_uploads_photos_of_both(album: Album) -> None:
    generator = Generator(
        dataclasses.replace(plan(5, 1000.0), other_owner=1), album, FakeS3(), "bucket"
    )
    generator.run()
    assert sorted(u.owner for u in generator.uploads) == ["load-run"] * 5 + ["load-run-other"]
    assert len({u.image_id for u in generator.uploads}) == 6
