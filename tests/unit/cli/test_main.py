"""The command's output and exit codes where a file, a pipe or the terminal is odd."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from services import cli
from services.cli.main import MODULES, main
from services.client import tokens
from services.operations.console import SafeConsole, visible
from tests.support.waiting import scaled

COMMAND = [sys.executable, "-m", "services.cli.main"]


def test_command_without_arguments_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "dead-letters" in capsys.readouterr().out


@pytest.mark.parametrize("module", sorted(MODULES))
def test_each_module_adds_the_commands_that_are_listed_for_it(module: str) -> None:
    app = typer.Typer()
    importlib.import_module(f"services.cli.{module}").add(app)
    added = [one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands]
    added += [group.name or "" for group in app.registered_groups]
    assert sorted(added) == sorted(MODULES[module])


def test_all_modules_with_commands_are_listed() -> None:
    folder = Path(cli.__file__ or "").parent
    adding = {path.stem for path in folder.glob("*.py") if "\ndef add(" in path.read_text()}
    assert adding == set(MODULES)


def test_a_command_imports_no_other_command() -> None:
    code = """if True:
        import sys
        from services.cli.main import main
        main(["cost", "--help"])
        print(*sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(60)
    )
    imported = {module for module in MODULES if f"services.cli.{module}" in done.stdout.split()}
    assert imported == {"cost"}


def test_interrupted_command_says_so_with_exit_code_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("services.local.lab.down", interrupt)
    assert main(["down"]) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")


def test_output_on_full_disk_is_one_line_and_exit_code_1() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "status", "--json"], stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=scaled(60), check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "darkroom: No space left on device\n")


def test_session_file_that_is_a_folder_is_one_line_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = tokens.default_file()
    file.mkdir(parents=True)
    assert main(["images", "list", "--api", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == f"darkroom: {file}: Is a directory\n"


def test_develop_of_named_pipe_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "photo.jpg"
    os.mkfifo(pipe)
    assert main(["develop", str(pipe)]) == 2
    assert "is neither a regular file nor a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "unsafe", ["\x1b[31m", "\x9b1m", "\x07", "\r", "\u202e", "\u2066", "\u2028", "\udcff"]
)
def test_console_replaces_unsafe_characters(unsafe: str) -> None:
    out = io.StringIO()
    SafeConsole(file=out, highlight=False).print(f"a{unsafe}b", markup=False)
    assert unsafe[0] not in out.getvalue()
    assert visible(unsafe)[0] == "\N{REPLACEMENT CHARACTER}"


def test_console_leaves_colours_and_line_breaks_of_its_own() -> None:
    out = io.StringIO()
    SafeConsole(file=out, force_terminal=True, color_system="standard").print("[red]a[/]\nb")
    assert out.getvalue() == "\x1b[31ma\x1b[0m\nb\n"
