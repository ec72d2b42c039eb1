"""A command in a terminal of its own, as a person runs it: with Ctrl-C and a window that closes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.waiting import STEP_SECONDS, scaled

CTRL_C = b"\x03"
# Makes stdin the controlling terminal. A background job of a shell ignores SIGINT, one under nohup
# ignores SIGHUP, and children inherit that: a command that a person starts does not.
_LOGIN = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def start_as_a_person_does() -> None:
    """For `preexec_fn`: the signals that a shell's background job or nohup ignores end the command
    again."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """A pseudo-terminal in which one command runs. `output` is what the command wrote so far."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self.output = b""
        self._screen = screen
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def hang_up(self) -> None:
        """Closes the terminal: the kernel sends SIGHUP to its session."""
        if self._open:
            self._open = False
            os.close(self._screen)

    def wait(self) -> int:
        """The command's exit code; negative for the signal that ended it."""
        code = self.process.wait(scaled(STEP_SECONDS))
        if self._open:
            self._reader.join(scaled(STEP_SECONDS))
        return code

    def _read(self) -> None:
        with suppress(OSError):  # EIO: no process has the terminal open any more
            while data := os.read(self._screen, 65_536):
                self.output += data


@contextmanager
def terminal(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Runs `command` in `folder` and in a terminal for a `with` block; kills it at the end."""
    screen, inside = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _LOGIN, *command],
            cwd=folder,
            env=environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
    finally:
        os.close(inside)
    opened = Terminal(process, screen)
    try:
        yield opened
    finally:
        process.kill()
        process.wait()
        opened.hang_up()
