"""The programs that are compared. Each form waits for jobs in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
QUALITY = 80
# glibc gives large blocks back to the system with every picture, and takes them anew page by page.
# All sides run as process-image does, which keeps them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "268435456"}
ONE_THREAD = {"VIPS_CONCURRENCY": "1"}


@dataclass(frozen=True)
class Form:
    """One way of doing the job. A `rare` form is too slow to be the best, and is measured in a
    fifth of the rounds."""

    name: str
    command: tuple[str, ...]
    flavour: str = "baseline"
    rare: bool = False

    @property
    def program(self) -> str:
        """darkroom, sharp or pyvips."""
        return self.name.split()[0]


_PYTHON = (sys.executable, "-m")
_SHARP = ("node", str(HERE / "sharp_side.mjs"))
DARKROOM = Form("darkroom", (*_PYTHON, "benchmarks.renditions.darkroom_side", "develop"))
SHARP_CASCADE = Form("sharp cascade", (*_SHARP, "cascade"))
PYVIPS = Form("pyvips", (*_PYTHON, "benchmarks.renditions.pyvips_side", "cascade"))
FORMS = (
    DARKROOM,
    Form("sharp once", (*_SHARP, "once")),
    SHARP_CASCADE,
    Form("sharp cascade, progressive", (*_SHARP, "cascade"), flavour="progressive", rare=True),
    Form("sharp each", (*_SHARP, "each"), rare=True),
    PYVIPS,
)


@dataclass(frozen=True)
class Answer:
    """What one job took, and how many bytes its renditions have."""

    cpu_ms: float
    bytes: int
    peak_mib: float


class Contestant:
    """A form, started."""

    def __init__(self, form: Form, formats: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(
            [*form.command, ",".join(formats), form.flavour],
            cwd=ROOT,
            env={**os.environ, **ALLOCATOR, **ONE_THREAD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def develop(self, photo: Path, quality: int = QUALITY, folder: Path | None = None) -> Answer:
        """Does one job; writes the renditions into `folder`."""
        assert self._process.stdin
        assert self._process.stdout
        job = {"photo": str(photo), "quality": quality, "folder": str(folder) if folder else None}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args} ended early")
        return Answer(**json.loads(line))

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate(timeout=30)


def prepare_sharp() -> None:
    """Installs sharp. Exits without Node.js."""
    if shutil.which("node") is None:
        raise SystemExit("this benchmark needs Node.js and npm")
    if not (HERE / "node_modules" / "sharp").exists():
        print("installing sharp ...", file=sys.stderr)
        subprocess.run(
            ["npm", "install", "--package-lock=false", "--no-audit", "--no-fund", "--silent"],
            cwd=HERE,
            check=True,
        )
