"""The embedded lab and the command, as a person uses them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from services.local import lab as labs
from services.local.demo.contact_sheet import Sheet, write_html, write_png
from services.local.develop import Outcome
from services.local.mailbox import sent_mails
from services.local.state import PROJECT, LabState
from services.local.terminal import shown_path
from tests.support.terminal import CTRL_C, terminal
from tests.support.waiting import eventually, scaled

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "services.cli.main"]


def darkroom(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=scaled(timeout),
        check=False,
    )


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
                "renditions", "seconds", "files",
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
        assert len(answer["files"]) == len(answer["renditions"])
        assert all(Path(file).is_file() for file in answer["files"])
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
        [("develop",), ("develop", "/nowhere"), ("nonsense",), ("up", "--port", "0")],
    )
    def test_wrong_usage_is_exit_code_2(self, arguments: tuple[str, ...]) -> None:
        done = darkroom(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr

    def test_a_folder_without_photos_is_wrong_usage(self, tmp_path: Path) -> None:
        done = darkroom("develop", str(tmp_path))
        assert done.returncode == 2
        assert "found no file" in done.stderr

    def test_status_json_has_processes_functions_and_queues(self) -> None:
        document = json.loads(darkroom("status", "--json").stdout)
        assert document["status"] == "ready"
        names = {process["name"] for process in document["processes"]}
        assert {"mailbox", "worker", "gateway", "postgres"} <= names
        assert {"process-image", "send-image-email", "create-order"} <= set(document["functions"])
        assert document["queues"]["process-image"]["dead_letters"] == 0
        assert document["problems"] == []

    def test_status_shows_where_postgres_runs_and_keeps_its_data(self) -> None:
        folders = json.loads(darkroom("status", "--json").stdout)["database"]
        assert (Path(folders["programs"]) / "postgres").is_file()
        assert (Path(folders["data"]) / "PG_VERSION").is_file()
        text = darkroom("status").stdout
        for name, folder in (("programs", folders["programs"]), ("data", folders["data"])):
            assert re.search(rf"^Postgres {name} +{re.escape(shown_path(folder))} *$", text, re.M)

    def test_status_in_a_pipe_cuts_nothing(self) -> None:
        assert "…" not in darkroom("status").stdout

    def test_status_watch_is_shown_anew_until_ctrl_c(self) -> None:
        with terminal([*COMMAND, "status", "--watch"], PROJECT) as shown:
            eventually(lambda: shown.output.count(b"process-image") > 2, "it is shown twice")
            shown.press(CTRL_C)
            assert shown.wait() == 130
        assert b"Traceback" not in shown.output

    def test_logs_show_one_function_as_text_and_json(self, photos: Path) -> None:
        darkroom("develop", str(photos))
        text = darkroom("logs", "process-image").stdout
        assert "process-image" in text
        assert "send-image-email" not in text
        lines = darkroom("logs", "process-image", "--json").stdout.splitlines()
        events = [json.loads(line) for line in lines]
        assert any(event.get("function") == "process-image" for event in events)
        assert darkroom("logs", "--since", "soon").returncode == 2


def test_each_photo_is_one_mail_with_its_thumbnail(lab: LabState, photos: Path) -> None:
    from services.local import develop

    before = len(sent_mails(Path(lab.mail_folder)))
    (photos / "bad.jpg").write_text("no photo")
    outcomes = list(develop.develop_all(lab, develop.find_photos([photos])))
    assert len(outcomes) == 3
    eventually(lambda: len(sent_mails(Path(lab.mail_folder))) >= before + 3, "three e-mails")
    mails = {mail.subject: mail for mail in sent_mails(Path(lab.mail_folder))[before:]}
    assert set(mails) == {
        "Developed: a b+c.jpg",
        "Developed: é.png",
        "We could not develop bad.jpg",
    }
    assert mails["Developed: é.png"].thumbnail is not None
    assert mails["We could not develop bad.jpg"].thumbnail is None
