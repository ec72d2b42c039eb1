"""`darkroom images` in a terminal: folders, bad files, ids and their beginnings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.main import main
from services.client import tokens
from services.local.state import LabState
from tests.integration.api.conftest import Customer
from tests.support.photos import jpeg, scene

Run = Callable[..., tuple[int, str, str]]
DONE, USAGE, SOME_REJECTED = 0, 2, 3


@pytest.fixture
def run(
    lab: LabState,
    new_customer: Callable[..., Customer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs a command of a new customer; returns exit code, stdout and stderr."""
    customer = new_customer()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("services.cli.connection.lab.running", lambda: lab)
    tokens.keep(customer.api.url, customer.api.token, tokens.default_file())

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["images", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder with a photo, one in a folder inside, a text file and a hidden file."""
    folder = tmp_path / "album"
    (folder / "inside").mkdir(parents=True)
    (folder / "first.jpg").write_bytes(jpeg(scene(640, 480)))
    (folder / "inside" / "second.jpg").write_bytes(jpeg(scene(480, 640)))
    (folder / "notes.txt").write_text("not a photo")
    (folder / ".hidden.jpg").write_bytes(b"")
    return folder


def test_upload_folder_goes_on_after_a_bad_file(run: Run, album: Path) -> None:
    code, out, _ = run("upload", str(album), "--json")
    assert code == SOME_REJECTED
    results = json.loads(out)
    developed = [item["filenames"] for item in results if item["status"] == "developed"]
    assert sorted(developed) == [["first.jpg"], ["second.jpg"]]
    (failed,) = [item for item in results if item["status"] == "not-uploaded"]
    assert failed["path"] == str(album / "notes.txt")
    assert "expected a photo" in failed["message"]


def test_upload_missing_path_is_refused_before_any_upload(run: Run, album: Path) -> None:
    code, out, err = run("upload", str(album), "/nowhere")
    assert (code, out) == (USAGE, "")
    assert "/nowhere does not exist" in err
    assert json.loads(run("list", "--json")[1]) == []


def test_ids_are_whole_in_a_pipe_and_their_beginnings_are_taken(
    run: Run, album: Path, tmp_path: Path
) -> None:
    assert run("upload", str(album / "first.jpg"))[0] == DONE
    (image,) = json.loads(run("list", "--json")[1])
    assert image["id"] in run("list")[1]
    beginning = image["id"][:5]
    assert json.loads(run("show", beginning, "--json")[1])["id"] == image["id"]
    code, out, _ = run("fetch", beginning, "--out", str(tmp_path / "out"), "--json")
    assert code == DONE
    assert all(Path(file).is_file() for file in json.loads(out))
    code, _, err = run("show", "zz")
    assert (code, "image 'zz' not found" in err) == (USAGE, True)
    assert json.loads(run("delete", beginning, "--json")[1]) == [image["id"]]


def test_fetch_into_a_file_is_refused_before_any_work(run: Run, album: Path) -> None:
    code, _, err = run("fetch", "0" * 32, "--out", str(album / "first.jpg"))
    assert (code, "is not a folder" in err) == (USAGE, True)
