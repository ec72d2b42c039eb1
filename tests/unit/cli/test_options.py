"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from services.cli.main import main
from services.cli.options import number, whole_id, whole_number, writable_folder
from services.platform.errors import PermanentError

IDS = ["ab12", "ab34", "cd56", "cd567"]


@pytest.mark.parametrize(
    ("text", "expected"), [("cd56", "cd56"), ("ab1", "ab12"), ("ab34", "ab34")]
)
def test_whole_id_of_an_id_or_unique_beginning(text: str, expected: str) -> None:
    assert whole_id(text, IDS, "image") == expected


@pytest.mark.parametrize(
    ("text", "message"), [("ab", "is ambiguous"), ("", "not found"), ("x", "not found")]
)
def test_whole_id_of_an_ambiguous_or_unknown_beginning_is_refused(text: str, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        whole_id(text, IDS, "image")


@pytest.mark.parametrize("text", ["0", "-1", "65536", "1.5", "²", "", "many"])
def test_whole_number_outside_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"expected a whole number 1\.\.65535, got"):
        whole_number(1, 65_535)(text)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "61", "soon"])
def test_number_outside_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected minutes, from 0 up to 60, got"):
        number("minutes", 60, zero=True)(text)


def test_number_accepts_its_bounds() -> None:
    assert (number("x", 60, zero=True)("0"), number("x", 60)(60.0)) == (0.0, 60.0)


def test_writable_folder_is_created(tmp_path: Path) -> None:
    writable_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "b"]


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_develop_checks_out_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    code = main(["develop", str(tmp_path / "photo.jpg"), "--out", str(tmp_path / out)])
    err = capsys.readouterr().err
    assert (code, len(err.splitlines())) == (2, 1)
    assert str(tmp_path / "file") in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",), ("orders",), ("up", "--port", "x"), ("images", "upload"), ("status", "--nope"),
        ("up", "--only", "prints"), ("up", "--only", "photos", "--samples"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_that_names_the_help(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("darkroom: ")
    assert "--help`" in err


def test_version_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("darkroom 0.")
