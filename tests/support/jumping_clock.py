"""The clocks of processes jump.

libfaketime does the same for programs in general, but its `clock_nanosleep` refuses the absolute
times by which Python sleeps (release 0.9.10, Python 3.11 and later).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.support.waiting import scaled

SOURCE = Path(__file__).with_suffix(".c")
COMPILE_SECONDS = 60
# Each process reads the offset this often, at a time of its own: for so long their clocks differ.
READ_SECONDS = 2


@dataclass(frozen=True)
class JumpingClock:
    """What the clocks of processes show: the machine's time and the offset in `file`."""

    file: Path

    def jump(self, offset_seconds: int) -> None:
        """Clocks are this far from the machine's from now on; 0 for right ones."""
        # Never half written: a process would take it for another time.
        draft = self.file.with_suffix(".new")
        draft.write_text(str(offset_seconds), encoding="ascii")
        draft.rename(self.file)


@contextmanager
def jumping_clock(folder: Path) -> Iterator[JumpingClock]:
    """Processes that start in this block, and their children, have this clock, except Postgres.
    Skips without a C compiler, and fails in CI."""
    compiler = shutil.which("cc")
    if compiler is None:
        message = "no C compiler on this machine: clocks cannot jump"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    library = folder / "jumping_clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, timeout=scaled(COMPILE_SECONDS))
    clock = JumpingClock(folder / "clock")
    clock.jump(0)
    variables = {
        "LD_PRELOAD": str(library),
        "JUMPING_CLOCK": str(clock.file),
        "JUMPING_CLOCK_SECONDS": str(READ_SECONDS),
    }
    with patch.dict(os.environ, variables):
        yield clock
