"""A command that started a lab for the occasion ends it, whatever ends the command.

The real command runs in a terminal, in a copy of the checkout: it has a state folder of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from services.local.state import PROJECT
from tests.support.terminal import CTRL_C, Terminal, terminal
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

INTERRUPTED = 130
TIMED_OUT = 124  # of `timeout`
# Inherited by the processes of a lab, so that those that outlive it are found.
MARK = "DARKROOM_TEST_SIGNALS"
DARKROOM = (sys.executable, "-m", "services.cli.main")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a lab needs of the checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", ".terraform", "node_modules")
    for name in ("services", "images", "terraform"):
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "red.jpg"
    path.parent.mkdir()
    Image.new("RGB", (640, 480), "red").save(path)
    return path


def arguments(command: str, photo: Path) -> list[str]:
    return {
        "develop": ["develop", str(photo)],
        "demo": ["demo", str(photo.parent)],
        "load-test": ["load-test", "--embedded", "--photos", str(photo.parent)],
    }[command]


def press_ctrl_c(shown: Terminal) -> None:
    shown.press(CTRL_C)


def press_ctrl_c_twice(shown: Terminal) -> None:
    shown.press(CTRL_C)
    shown.press(CTRL_C)


def terminate(shown: Terminal) -> None:
    shown.process.send_signal(signal.SIGTERM)


def close_window(shown: Terminal) -> None:
    shown.hang_up()


CASES = [
    (command, end)
    for command in ("develop", "demo", "load-test")
    for end in (press_ctrl_c, terminate, close_window)
] + [("develop", press_ctrl_c_twice)]


def lab_processes(checkout: Path) -> list[str]:
    """The command lines of processes that run in `checkout`, or were started there."""
    return list(_lab_processes(str(checkout)))


def _lab_processes(checkout: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if process.pid != os.getpid() and (
                checkout in line
                or process.cwd().startswith(checkout)
                or process.environ().get(MARK) == checkout
            ):
                yield line
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, MARK: str(checkout), "COLUMNS": "80", "TERM": "xterm"}


@pytest.mark.parametrize(("command", "end"), CASES)
def test_command_ended_while_the_lab_starts_leaves_no_process(
    command: str, end: Callable[[Terminal], None], checkout: Path, photo: Path
) -> None:
    state = checkout / ".darkroom"
    shutil.rmtree(state, ignore_errors=True)
    started = [*DARKROOM, *arguments(command, photo)]
    with terminal(started, checkout, environment(checkout)) as shown:
        eventually(lambda: any(state.rglob("state.json")), "the supervisor starts the lab")
        assert lab_processes(checkout)
        end(shown)
        code = shown.wait()
    eventually(lambda: not lab_processes(checkout), "no process is left")
    assert code != 0
    assert b"Traceback" not in shown.output
    if end in (press_ctrl_c, terminate):
        assert code == INTERRUPTED
        assert shown.output.endswith(b"interrupted\r\n")
    assert not any(state.glob("demo-*")), "the draft of a demo is left"


def test_develop_under_timeout_leaves_no_process(checkout: Path, photo: Path) -> None:
    """The time ends at any point of the command; after it no process is left."""
    shutil.rmtree(checkout / ".darkroom", ignore_errors=True)
    started = ["timeout", "-s", "TERM", "3", *DARKROOM, "develop", str(photo)]
    with terminal(started, checkout, environment(checkout)) as shown:
        code = shown.wait()
    eventually(lambda: not lab_processes(checkout), "no process is left")
    assert code in (0, TIMED_OUT)
