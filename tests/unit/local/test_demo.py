"""The demo's results, its sample photos, and its contact sheet."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from services.cli.main import main
from services.local.demo import run
from services.local.demo.contact_sheet import Sheet, write_html
from services.local.demo.samples import photos as samples
from services.local.develop import Outcome


@pytest.fixture
def last_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results of an earlier demo."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "index.html").write_text("the last demo")
    monkeypatch.setattr(run, "FOLDER", folder)
    return folder


@pytest.mark.parametrize("given", ["missing", "empty", "empty/pipe"])
def test_demo_folder_without_photos_leaves_the_last_results(
    last_demo: Path, tmp_path: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    if given == "empty/pipe":
        os.mkfifo(tmp_path / given)
    assert main(["demo", str(tmp_path / given)]) == 2
    assert str(tmp_path / given) in capsys.readouterr().err
    assert (last_demo / "index.html").read_text() == "the last demo"


def test_demo_that_fails_leaves_the_last_results_and_no_draft(
    last_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")

    def fail(_photos: object, draft: Path, _clock: object) -> None:
        (draft / "index.html").write_text("half a demo")
        raise OSError("No space left on device")

    monkeypatch.setattr(run, "_make", fail)
    assert main(["demo", str(tmp_path / "photo.jpg")]) == 1
    assert (last_demo / "index.html").read_text() == "the last demo"
    assert {path.name for path in tmp_path.iterdir()} == {"demo", "photo.jpg"}


def test_sample_photos_second_time_are_those_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[Path] = []

    def render(folder: Path) -> None:
        rendered.append(folder)
        (folder / "photo.jpg").write_bytes(b"x")

    monkeypatch.setattr(samples, "make_sample_photos", render)
    first = samples.sample_photos(tmp_path)
    assert samples.sample_photos(tmp_path) == first
    assert len(rendered) == 1
    monkeypatch.setattr(samples, "_generator_version", lambda: "another")
    assert samples.sample_photos(tmp_path) != first
    assert len(rendered) == 2
    assert len(list(tmp_path.iterdir())) == 2, "a draft is left"


def test_contact_sheet_fits_a_phone_and_follows_the_colour_scheme(tmp_path: Path) -> None:
    photo = Outcome(tmp_path / ("long" * 40 + ".jpg"), None, 0.0, "unreadable")
    write_html(Sheet((photo,), (), tmp_path, ()), tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert '<meta name="viewport" content="width=device-width' in page
    assert "prefers-color-scheme: dark" in page
    # Columns shrink to the window, and long names break.
    assert re.findall(r"minmax\((?!min\()", page) == []
    assert "overflow-wrap: anywhere" in page
    # The ring is outside the link that fills a figure: a figure that cuts would hide it.
    assert ":focus-visible { outline: " in page
    assert re.findall(r"^figure {[^}]*overflow", page, re.M) == []
