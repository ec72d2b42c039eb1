"""The embedded lab and the command, as a person uses them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from services.local import emulator
from services.local import lab as labs
from services.local.demo.contact_sheet import Sheet, write_html, write_png
from services.local.develop import Outcome
from services.local.mailbox import sent_mails
from services.local.options import LabOptions
from services.local.state import PROJECT, LabFiles, LabState, LabStatus, alive
from services.local.terminal import shown_path
from services.platform.errors import PermanentError

COMMAND = [sys.executable, "-m", "services.cli.main"]


def darkroom(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "inside").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name, colour in (("a b+c.jpg", "red"), ("inside/é.png", "blue")):
        Image.new("RGB", (640, 480), colour).save(folder / name)
    (folder / ".hidden" / "x.jpg").write_text("never uploaded")
    return folder


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[str]:
    """The lab at its default place, for the command; a lab that ran before is left alone."""
    ran_before = labs.running() is not None
    state = labs.up()
    yield state.endpoint
    if not ran_before:
        labs.down()


@pytest.mark.usefixtures("shared_lab")
class TestDevelop:
    def test_all_developed_is_exit_code_0_and_json_has_every_field(self, photos: Path) -> None:
        done = darkroom("develop", str(photos), "--json")
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        assert [Path(a["path"]).name for a in answers] == ["a b+c.jpg", "é.png"]
        for answer in answers:
            assert set(answer) == {
                "path", "image_id", "status", "reason", "message", "width", "height", "format",
                "placeholder", "fingerprint", "dominant_colour", "taken_at", "camera",
                "renditions", "seconds",
            }  # fmt: skip
            assert answer["status"] == "developed"
            assert (answer["width"], answer["height"]) == (640, 480)
            assert len(answer["fingerprint"]) == 16
            names = {(r["name"], r["format"]) for r in answer["renditions"]}
            assert names == {(n, f) for n in ("thumb", "medium", "large") for f in ("jpeg", "webp")}
        assert answers[0]["dominant_colour"].startswith("#f")

    def test_renditions_are_downloaded_as_they_are_told(self, photos: Path, tmp_path: Path) -> None:
        done = darkroom(
            "develop", str(photos / "a b+c.jpg"), "--json", "--out", str(tmp_path / "o")
        )
        (answer,) = json.loads(done.stdout)
        for rendition in answer["renditions"]:
            extension = {"jpeg": "jpg"}.get(rendition["format"], rendition["format"])
            path = tmp_path / "o" / answer["image_id"] / f"{rendition['name']}.{extension}"
            content = path.read_bytes()
            assert len(content) == rendition["bytes"]
            with Image.open(io.BytesIO(content)) as picture:
                assert picture.size == (rendition["width"], rendition["height"])

    def test_some_rejected_is_exit_code_3_with_a_reason(self, photos: Path) -> None:
        (photos / "notes.jpg").write_text("no photo")
        done = darkroom("develop", str(photos))
        assert done.returncode == 3
        assert "not-an-image" in done.stdout
        assert "notes.jpg" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr

    def test_an_empty_file_and_the_same_photo_twice(self, photos: Path) -> None:
        (photos / "empty.jpg").touch()
        (photos / "copy.jpg").write_bytes((photos / "a b+c.jpg").read_bytes())
        done = darkroom("develop", str(photos), "--json")
        assert done.returncode == 3
        by_name = {Path(a["path"]).name: a for a in json.loads(done.stdout)}
        assert by_name["empty.jpg"]["reason"] == "empty"
        assert by_name["copy.jpg"]["image_id"] == by_name["a b+c.jpg"]["image_id"]

    def test_odd_names_are_names_too(self, tmp_path: Path) -> None:
        picture = io.BytesIO()
        Image.new("RGB", (64, 48), "green").save(picture, "JPEG")
        names = [b"[bold]a'b $x.jpg", b"not \xff text.jpg", b"line\nbreak.jpg", b"%2B+ %.jpg"]
        for name in names:
            (tmp_path / os.fsdecode(name)).write_bytes(picture.getvalue())
        done = darkroom("develop", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("developed") == len(names)
        sheet = Sheet(
            tuple(Outcome(path, None, 0.0, "x") for path in tmp_path.iterdir()), (), tmp_path, ()
        )
        write_html(sheet, tmp_path / "index.html")
        write_png(sheet, tmp_path / "sheet.png")

    @pytest.mark.parametrize(
        "arguments",
        [("develop",), ("develop", "/nowhere"), ("nonsense",), ("up", "--port", "0"), ()],
    )
    def test_wrong_usage_is_exit_code_2(self, arguments: tuple[str, ...]) -> None:
        done = darkroom(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr

    def test_a_folder_without_photos_is_wrong_usage(self, tmp_path: Path) -> None:
        done = darkroom("develop", str(tmp_path))
        assert done.returncode == 2
        assert "found no file" in done.stderr

    def test_status_tells_processes_and_queues(self) -> None:
        document = json.loads(darkroom("status", "--json").stdout)
        assert document["status"] == "ready"
        names = {process["name"] for process in document["processes"]}
        assert {"mailbox", "process-image", "send-image-email"} <= names
        assert document["queues"]["process-image"]["dead_letters"] == 0

    def test_status_shows_where_postgres_runs_and_keeps_its_data(self) -> None:
        folders = json.loads(darkroom("status", "--json").stdout)["database"]
        assert (Path(folders["programs"]) / "postgres").is_file()
        assert (Path(folders["data"]) / "PG_VERSION").is_file()
        text = darkroom("status").stdout
        assert f"Postgres programs: {shown_path(folders['programs'])}\n" in text
        assert f"Postgres data: {shown_path(folders['data'])}\n" in text


def test_each_photo_is_one_mail_with_its_thumbnail(lab: LabState, photos: Path) -> None:
    from services.local import develop

    before = len(sent_mails(Path(lab.mail_folder)))
    (photos / "bad.jpg").write_text("no photo")
    outcomes = list(develop.develop_all(lab, develop.find_photos([photos])))
    assert len(outcomes) == 3
    give_up_at = time.monotonic() + 20
    while len(sent_mails(Path(lab.mail_folder))) - before < 3 and time.monotonic() < give_up_at:
        time.sleep(0.1)
    mails = {mail.subject: mail for mail in sent_mails(Path(lab.mail_folder))[before:]}
    assert set(mails) == {
        "Developed: a b+c.jpg",
        "Developed: é.png",
        "We could not develop bad.jpg",
    }
    assert mails["Developed: é.png"].thumbnail is not None
    assert mails["We could not develop bad.jpg"].thumbnail is None


class TestLifeOfALab:
    def test_up_twice_is_one_lab_and_down_leaves_nothing(self, tmp_path: Path) -> None:
        first = labs.up(tmp_path)
        assert labs.up(tmp_path).endpoint == first.endpoint
        pids = [child.pid for child in first.children] + [first.pid]
        assert all(map(alive, pids))
        assert labs.down(tmp_path)
        assert not any(map(alive, pids))
        assert not emulator.healthy(first.endpoint)
        assert not labs.down(tmp_path)
        state = LabFiles(tmp_path).read()
        assert state is not None
        assert state.status is LabStatus.STOPPED

    def test_a_taken_port_is_told(self, tmp_path: Path, lab_port: int) -> None:
        with pytest.raises(PermanentError, match=f"port {lab_port} is taken"):
            labs.up(tmp_path, LabOptions(port=lab_port))

    def test_a_killed_supervisor_leaves_no_process_and_no_lock(self, tmp_path: Path) -> None:
        state = labs.up(tmp_path)
        os.kill(state.pid, signal.SIGKILL)
        give_up_at = time.monotonic() + 15
        pids = [child.pid for child in state.children]
        while any(map(alive, pids)) and time.monotonic() < give_up_at:
            time.sleep(0.1)
        assert not any(map(alive, pids))
        assert labs.running(tmp_path) is None
        labs.up(tmp_path)
        assert labs.down(tmp_path)

    def test_an_emulator_that_ends_is_told_as_a_failed_lab(self, tmp_path: Path) -> None:
        state = labs.up(tmp_path)
        listed = subprocess.run(
            ["pgrep", "-P", str(state.pid), "-f", "emulator_process"],
            capture_output=True,
            text=True,
            check=True,
        )
        os.kill(int(listed.stdout.split()[0]), signal.SIGKILL)
        give_up_at = time.monotonic() + 60
        while labs.running(tmp_path) is not None or _status(tmp_path) is not LabStatus.FAILED:
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        ended = LabFiles(tmp_path).read()
        assert ended is not None
        assert "the emulator ended" in ended.message

    def test_a_worker_that_is_killed_is_started_again(self, lab: LabState) -> None:
        files = LabFiles(Path(lab.mail_folder).parent)
        victim = next(child for child in lab.children if child.name == "process-image")
        os.kill(victim.pid, signal.SIGKILL)
        give_up_at = time.monotonic() + 15
        while time.monotonic() < give_up_at:
            state = files.read()
            assert state is not None
            now = next(child for child in state.children if child.name == "process-image")
            if now.pid != victim.pid:
                break
            time.sleep(0.1)
        assert now.restarts == victim.restarts + 1
        assert alive(now.pid)


def _status(root: Path) -> LabStatus | None:
    state = LabFiles(root).read()
    return state.status if state is not None else None


@pytest.fixture
def lab_port(lab: LabState) -> int:
    return int(lab.endpoint.rpartition(":")[2])
