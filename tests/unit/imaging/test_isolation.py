"""The child process that decodes: its limits, its death, and what the parent makes of it."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.imaging.develop import develop
from services.imaging.isolation import IsolatedDeveloper, Work
from services.imaging.model import (
    Developed,
    Limits,
    OutputFormat,
    PhotoRejected,
    Recipe,
    RejectionReason,
    RenditionSpec,
)
from tests.support import damaged_photos, photos

MIB = 1024 * 1024
PICTURES = Path(__file__).resolve().parents[2] / "data" / "pictures"
RECIPE = Recipe()


@pytest.fixture
def developer() -> Iterator[IsolatedDeveloper]:
    isolated = IsolatedDeveloper()
    yield isolated
    isolated.stop()


def _rejected(work: Work, limits: Limits | None = None) -> RejectionReason:
    """The reason for which a photo is rejected when the child does `work`."""
    isolated = IsolatedDeveloper(work)
    try:
        with pytest.raises(PhotoRejected) as caught:
            isolated.develop(b"", RECIPE, limits or Limits())
    finally:
        isolated.stop()
    return caught.value.reason


def test_isolated_photo_gives_what_develop_gives(developer: IsolatedDeveloper) -> None:
    for name in ("baseline.jpg", "plain.png", "moving.gif"):
        source = damaged_photos.valid_files()[name]
        assert developer.develop(source, RECIPE, Limits()) == develop(source)


def test_isolated_rejection_keeps_reason_and_message(developer: IsolatedDeveloper) -> None:
    with pytest.raises(PhotoRejected) as expected:
        develop(b"no photo")
    with pytest.raises(PhotoRejected) as caught:
        developer.develop(b"no photo", RECIPE, Limits())
    assert caught.value.reason is expected.value.reason
    assert caught.value.message == expected.value.message


def test_isolated_decoder_that_hangs_is_killed_at_the_deadline() -> None:
    def hang(*_: object) -> Developed:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        raise AssertionError

    started = time.monotonic()
    assert _rejected(hang, Limits(seconds_max=0.2)) is RejectionReason.TIMED_OUT
    assert time.monotonic() - started < 10


def test_isolated_decoder_that_takes_cpu_time_is_too_expensive() -> None:
    def spend(*_: object) -> Developed:
        os.kill(os.getpid(), signal.SIGXCPU)  # what the kernel sends at RLIMIT_CPU
        raise AssertionError

    assert _rejected(spend) is RejectionReason.TOO_EXPENSIVE


def test_isolated_decoder_killed_by_the_system_is_too_expensive() -> None:
    def die(*_: object) -> Developed:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    assert _rejected(die) is RejectionReason.TOO_EXPENSIVE


def test_isolated_decoder_that_crashes_is_damaged() -> None:
    def crash(*_: object) -> Developed:
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError

    assert _rejected(crash) is RejectionReason.DAMAGED


def test_isolated_decoder_over_memory_limit_is_too_much_memory() -> None:
    def grow(*_: object) -> Developed:
        bytearray(512 * MIB)
        raise AssertionError

    limits = Limits(memory_bytes_max=128 * MIB)
    assert _rejected(grow, limits) is RejectionReason.TOO_MUCH_MEMORY


def test_isolated_decoder_cannot_write_a_file(tmp_path: Path) -> None:
    path = tmp_path / "written"

    def write(*_: object) -> Developed:
        path.write_bytes(b"data")
        raise AssertionError

    isolated = IsolatedDeveloper(write)
    with pytest.raises(PermissionError):
        isolated.develop(b"", RECIPE, Limits())
    isolated.stop()
    assert not path.exists()


def test_isolated_error_of_the_project_is_raised() -> None:
    def fail(*_: object) -> Developed:
        raise TypeError("an error of the project")

    isolated = IsolatedDeveloper(fail)
    with pytest.raises(TypeError, match="an error of the project"):
        isolated.develop(b"", RECIPE, Limits())
    isolated.stop()


def test_isolated_photo_after_a_death_is_developed() -> None:
    def die_of_some(source: bytes, recipe: Recipe, limits: Limits) -> Developed:
        if source == b"hostile":
            os.kill(os.getpid(), signal.SIGKILL)
        return develop(source, recipe, limits)

    isolated = IsolatedDeveloper(die_of_some)
    source = photos.jpeg()
    for _ in range(2):
        with pytest.raises(PhotoRejected):
            isolated.develop(b"hostile", RECIPE, Limits())
        assert isolated.develop(source, RECIPE, Limits()).renditions
    isolated.stop()


def test_isolated_photos_share_one_child(developer: IsolatedDeveloper) -> None:
    pids = set()
    for _ in range(3):
        developer.develop(photos.jpeg(), RECIPE, Limits())
        pids.add(developer._pid)
    assert len(pids) == 1


def test_isolated_every_file_has_the_outcome_of_develop(developer: IsolatedDeveloper) -> None:
    # Whatever a format imports late, or asks of the system, the confined child must have.
    recipe = Recipe((RenditionSpec("thumb", 64),), tuple(OutputFormat))
    pictures = [path for path in PICTURES.iterdir() if path.suffix != ".tsv"]
    files = dict(damaged_photos.valid_files()) | {p.name: p.read_bytes() for p in pictures}

    def outcome(work: Work, source: bytes) -> Developed | str:
        try:
            return work(source, recipe, Limits())
        except PhotoRejected as rejected:
            return str(rejected)

    differing = [
        name
        for name, source in files.items()
        if outcome(developer.develop, source) != outcome(develop, source)
    ]
    assert not differing


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: Path("/proc/self/environ").read_bytes(),
        lambda: Path(__file__).read_bytes(),
        lambda: Path("missing").unlink(),
        lambda: Path("written").write_bytes(b""),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        lambda: os.fork(),
        lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
        lambda: os.kill(os.getppid(), signal.SIGKILL),
        lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (0, 0)),
        lambda: os.pipe(),
    ],
    ids=[
        "environment", "read a file", "delete a file", "write a file", "network", "local socket",
        "fork", "execute", "kill the parent", "limit the parent", "pipe",
    ],
)  # fmt: skip
def test_isolated_decoder_cannot_leave_its_process(attempt: Callable[[], object]) -> None:
    def reach_out(*_: object) -> Developed:
        attempt()
        raise AssertionError

    isolated = IsolatedDeveloper(reach_out)
    with pytest.raises(PermissionError, match="Operation not permitted"):
        isolated.develop(b"", RECIPE, Limits())
    isolated.stop()


def test_isolated_decoder_may_start_threads() -> None:
    def work(*_: object) -> Developed:
        thread = threading.Thread(target=raised.append, args=("the thread ran",))
        thread.start()
        thread.join()
        raise ValueError(*raised)

    raised: list[str] = []
    isolated = IsolatedDeveloper(work)
    with pytest.raises(ValueError, match="the thread ran"):
        isolated.develop(b"", RECIPE, Limits())
    isolated.stop()


def test_isolated_answer_that_names_other_code_is_not_run(tmp_path: Path) -> None:
    class HostileError(ValueError):
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    HostileError.__module__ = "builtins"

    def answer(*_: object) -> Developed:
        raise HostileError

    isolated = IsolatedDeveloper(answer)
    with pytest.raises(pickle.UnpicklingError, match="mkdir"):
        isolated.develop(b"", RECIPE, Limits())
    isolated.stop()
    assert not (tmp_path / "made").exists()


def test_isolated_decoder_is_what_the_system_ends_without_memory(
    developer: IsolatedDeveloper,
) -> None:
    developer.develop(photos.jpeg(), RECIPE, Limits())
    score = Path(f"/proc/{developer._pid}/oom_score_adj").read_text(encoding="ascii")
    assert int(score) == 1_000


def test_parent_imports_no_decoder() -> None:
    # They would cost every cold start a quarter of its time; the child imports them while the photo
    # is downloaded.
    program = "import sys, services.catalog.process_image; sys.exit('PIL' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_isolated_photo_with_a_known_hash_states_that_one(developer: IsolatedDeveloper) -> None:
    source = photos.jpeg()
    assert developer.develop(source, RECIPE, Limits(), "known").facts.sha256 == "known"
    assert develop(source, RECIPE, Limits(), "known").facts.sha256 == "known"
