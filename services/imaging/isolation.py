"""Develops photos in a child process that can be killed.

    from services.imaging.isolation import develop

Decoders are C code that reads bytes from outside: they may hang, crash or take all memory, and no
check between their calls can stop that. The child has limits on its memory and CPU time, the parent
limits its wall time; when the child dies, the photo is rejected at once, and the next photo gets a
new child. `confinement` keeps the child from files, network and other processes, and the parent
takes nothing from it but the types of a development's outcome.

The child is reused for the next photo: a new one for each would have to take its memory anew, which
costs 60 ms for 24 megapixels (docs/decisions.md).
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import io
import os
import pickle
import resource
import select
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from services.imaging.confinement import confine, import_all
from services.imaging.model import (
    Developed,
    Facts,
    Limits,
    Location,
    OutputFormat,
    PhotoRejected,
    Recipe,
    RejectionReason,
    Rendition,
    SourceFormat,
    Step,
    TimeSource,
)

_LENGTH = struct.Struct("<Q")
_READ_BYTES = 1 << 20
# The child checks the time itself, between steps; the parent waits so much longer before it kills.
_GRACE_SECONDS = 1.0
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_DIED = "Developing this photo ended the program that decodes it"

# Far more than all renditions of an animation within the limits.
_ANSWER_BYTES_MAX = 1 << 30

# The parent states the source's hash, which it needs for the catalogue anyway.
_SHA256_OF_PARENT = ""

Job = tuple[bytes, Recipe, Limits]
Work = Callable[[bytes, Recipe, Limits], Developed]


# An answer can name these types and the built-in exceptions, and nothing else: pickle calls what it
# names, and a decoder that was taken over could name anything.
_ANSWER_TYPES = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (
        Developed, Facts, Location, OutputFormat, PhotoRejected, RejectionReason, Rendition,
        SourceFormat, Step, TimeSource,
    )
}  # fmt: skip


class _Outcome(pickle.Unpickler):
    """Reads the child's answer."""

    def find_class(self, module: str, name: str) -> type:
        kind = _ANSWER_TYPES.get((module, name))
        if kind is None and module == "builtins":
            kind = getattr(builtins, name, None)
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                kind = None
        if kind is None:
            raise pickle.UnpicklingError(f"the decoding process answered with {module}.{name}")
        return kind


def _develop_in_process(source: bytes, recipe: Recipe, limits: Limits) -> Developed:
    from services.imaging.develop import develop  # here: the parent needs no decoder

    return develop(source, recipe, limits, _SHA256_OF_PARENT)


class IsolatedDeveloper:
    """Develops photos one after the other, in a child process that starts with the first photo.

    `work` is what the child does with each; it must not need threads of the parent.
    """

    def __init__(self, work: Work = _develop_in_process) -> None:
        self._work = work
        self._pid = 0
        self._requests = -1
        self._answers = -1

    def develop(
        self, source: bytes, recipe: Recipe, limits: Limits, sha256: str | None = None
    ) -> Developed:
        """The same as `services.imaging.develop.develop`.

        Raises PhotoRejected also when the child dies: timed-out at the wall-time limit,
        too-expensive at the CPU or memory limit, damaged if the decoder crashed. Raises what
        `work` raises.
        """
        self.start()
        deadline = time.monotonic() + limits.seconds_max + _GRACE_SECONDS
        try:
            _send(self._requests, pickle.dumps((source, recipe, limits), pickle.HIGHEST_PROTOCOL))
            answer = self._receive(deadline)
        except (EOFError, BrokenPipeError):
            self._reject_dead()
        except TimeoutError:
            self.stop()
            raise PhotoRejected(
                RejectionReason.TIMED_OUT,
                f"Developing this photo took longer than the {limits.seconds_max:g} seconds a "
                "photo may take. Please upload it smaller, or with fewer frames.",
            ) from None
        outcome = _Outcome(io.BytesIO(answer)).load()
        if not isinstance(outcome, Developed | Exception):
            raise RuntimeError("the decoding process answered with something else than an outcome")
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.facts.sha256 != _SHA256_OF_PARENT:
            return outcome
        facts = replace(outcome.facts, sha256=sha256 or hashlib.sha256(source).hexdigest())
        return replace(outcome, facts=facts)

    def stop(self) -> None:
        """Kills the child, if there is one."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def start(self) -> None:
        """Starts the child, if there is none: its imports take 0.1 s of CPU."""
        if self._pid:
            return
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            _run_child(self._work, requests, answers, parent)
        os.close(requests)
        os.close(answers)

    def _reap(self) -> int:
        """Waits for the child and gives its exit code, negative for a signal."""
        _, status = os.waitpid(self._pid, 0)
        os.close(self._requests)
        os.close(self._answers)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _reject_dead(self) -> NoReturn:
        code = self._reap()
        if -code in _CRASHES:
            raise PhotoRejected(
                RejectionReason.DAMAGED,
                f"{_DIED}: the file is probably damaged. Please save it again in a photo program, "
                "and upload that.",
            )
        if code < 0:  # SIGXCPU at our limit; SIGKILL from the system, which is out of memory
            raise PhotoRejected(
                RejectionReason.TOO_EXPENSIVE,
                f"{_DIED}: it takes too much memory or time. Please upload it smaller.",
            )
        raise RuntimeError(f"the decoding process ended with exit code {code}")

    def _receive(self, deadline: float) -> bytes:
        (count,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if count > _ANSWER_BYTES_MAX:
            self.stop()
            raise RuntimeError(f"the decoding process announced an answer of {count:,} bytes")
        return self._read(count, deadline)

    def _read(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._answers], [], [], max(left, 0))
            if not ready:
                raise TimeoutError
            part = os.read(self._answers, min(count - len(data), _READ_BYTES))
            if not part:
                raise EOFError
            data += part
        return bytes(data)


def _send(descriptor: int, data: bytes) -> None:
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def _run_child(work: Work, requests: int, answers: int, parent: int) -> NoReturn:
    """What the child does: one job after the other, until the parent closes the pipe."""
    try:
        import_all()
        mapped_bytes = _mapped_bytes()
        confine({requests, answers}, parent)
        while True:
            head = _read_all(requests, _LENGTH.size)
            job: Job = pickle.loads(_read_all(requests, _LENGTH.unpack(head)[0]))  # noqa: S301
            _limit(job[2], mapped_bytes)
            _send(answers, _outcome(work, *job))
    except EOFError:
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing of the parent's may run here
        os._exit(1)


def _read_all(descriptor: int, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = os.read(descriptor, min(count - len(data), _READ_BYTES))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _outcome(work: Work, source: bytes, recipe: Recipe, limits: Limits) -> bytes:
    """What the parent is to return or to raise, pickled."""
    outcome: Developed | Exception
    try:
        outcome = work(source, recipe, limits)
    except MemoryError:
        outcome = PhotoRejected(
            RejectionReason.TOO_MUCH_MEMORY,
            "Developing this photo takes more memory than there is. Please upload it smaller.",
        )
    except Exception as error:  # noqa: BLE001 - raised in the parent
        known = isinstance(error, PhotoRejected) or type(error).__module__ == "builtins"
        outcome = error if known else RuntimeError(repr(error))
    try:
        return pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 - of any exception's own making
        return pickle.dumps(RuntimeError(repr(outcome)))


def _mapped_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * resource.getpagesize()


def _limit(limits: Limits, mapped_bytes: int) -> None:
    """Sets the limits of the next job: memory on top of what was mapped before the first job, CPU
    time on top of what is used."""
    _set_soft_limit(resource.RLIMIT_AS, mapped_bytes + limits.memory_bytes_max)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime + limits.seconds_max + _GRACE_SECONDS
    _set_soft_limit(resource.RLIMIT_CPU, int(seconds) + 1)


def _set_soft_limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (soft, hard))


_developer = IsolatedDeveloper()


def start_child() -> None:
    """Starts this process's one child, so that it is ready when a photo is. Does not wait."""
    _developer.start()


def develop(source: bytes, recipe: Recipe, limits: Limits, sha256: str | None = None) -> Developed:
    """Develops a photo in this process's one child. See `IsolatedDeveloper.develop`."""
    return _developer.develop(source, recipe, limits, sha256)
