"""Execution environments forked from a template, in a lab; see `services.runtime.template`."""

from __future__ import annotations

import json
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.runtime import processes

# A datagram with a request must fit into a socket's usual buffer.
MAX_REQUEST_BYTES = 1 << 17
# A process id, and later an exit status, in answers.
NUMBER = struct.Struct("i")
# A template that takes longer is stuck, or is being restarted.
FORK_SECONDS = 5.0
# Interpreter, dynamic linker and C library read these when a program starts, which a fork does not.
_READ_AT_START = ("LD_", "MALLOC_", "PYTHON")
# These can be set later too: parameters of mallopt(3), from malloc.h.
MALLOC_OPTIONS = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}


class TemplateClient:
    """Asks a template for environments. Safe for several threads."""

    def __init__(self, fd: int) -> None:
        self._requests = socket.socket(fileno=fd)
        self._requests.setblocking(False)

    def fork(
        self,
        *,
        folder: Path,
        variables: Mapping[str, str],
        output: int,
        inherited: Sequence[int],
    ) -> ForkedProcess | None:
        """An environment of the function in `folder` with these environment variables; None if it
        must be a process from the start. `output` becomes its stdout and stderr."""
        request = json.dumps({"folder": str(folder), "variables": dict(variables)}).encode()
        if len(request) > MAX_REQUEST_BYTES:
            return None
        own, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            try:
                socket.send_fds(self._requests, [request], [its.fileno(), output, *inherited])
            except OSError:
                own.close()
                return None
        own.settimeout(FORK_SECONDS)
        try:
            number = own.recv(NUMBER.size)
        except OSError:
            number = b""
        if not number:
            own.close()
            return None
        return ForkedProcess(NUMBER.unpack(number)[0], own)

    def close(self) -> None:
        """Frees the socket; environments go on."""
        self._requests.close()


def forkable(variables: Mapping[str, str]) -> bool:
    """Whether a function with these environment variables of its own works in a forked process."""
    return not any(
        name.startswith(_READ_AT_START) and name not in MALLOC_OPTIONS for name in variables
    )


class ForkedProcess:
    """A process of a template. Safe for several threads."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.fd: int | None = connection.fileno()
        self._connection = connection
        self._connection.setblocking(False)
        self._lock = threading.Lock()
        self._status: int | None = None

    def ended(self) -> bool:
        with self._lock:
            return self._ended()

    def wait(self, seconds: float) -> int | None:
        until = time.monotonic() + seconds
        while not self.ended() and self.fd is not None and time.monotonic() < until:
            select.select([self.fd], [], [], max(0.0, until - time.monotonic()))
        return self._status

    def signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self._ended():
                processes.kill_group(self.pid, number)

    def close(self) -> None:
        if self.fd is not None:
            self._connection.close()
            self.fd = None

    def _ended(self) -> bool:
        if self._status is not None:
            return True
        if self.fd is None:
            return True
        try:
            status = self._connection.recv(NUMBER.size)
        except BlockingIOError:
            return False
        except OSError:
            status = b""
        if not status:
            # The template has ended: the exit status of this process stays unknown.
            processes.kill_group(self.pid, signal.SIGKILL)
        self._status = NUMBER.unpack(status)[0] if status else -signal.SIGKILL
        return True
