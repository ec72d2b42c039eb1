"""Copies an execution environment's stdout and stderr to the worker's log, within limits."""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import termios
import threading
import time
from collections.abc import Callable

from services.runtime import output
from services.runtime.metrics import REGISTRY

# Longer lines are cut. CloudWatch takes 1 MiB an event, too much to read.
MAX_LINE_BYTES = 64 * 1024
# Output beyond this rate is counted and dropped, so that it neither blocks nor fills a disk. A
# working handler prints far less.
BYTES_PER_SECOND = 1024 * 1024
BURST_BYTES = 4 * 1024 * 1024
_CHUNK = 64 * 1024
_CATCH_UP_SECONDS = 0.2
_REPORT_DROPPED_EVERY_SECONDS = 1.0


class LogPump:
    """Reads one environment's pipe in a thread of its own until the last writer is gone.

    JSON lines pass as they are; others become JSON with the running invocation's request id. What
    is kept in memory is one chunk and one unfinished line.
    """

    def __init__(
        self,
        fd: int,
        function: str,
        write: Callable[[bytes], None] = output.write_line,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.request_id: str | None = None
        self._fd = fd
        self._function = function
        self._write = write
        self._clock = clock
        self._line = bytearray()
        self._cutting = False
        self._closed = False
        self._tokens = float(BURST_BYTES)
        self._filled_at = clock()
        self._dropped = 0
        self._reported_at = 0.0
        self._handling = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log-pump", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def catch_up(self) -> None:
        """Waits (briefly) until what was printed so far is in the log, so that lines carry their
        own invocation's request id and stand before its report."""
        give_up_at = time.monotonic() + _CATCH_UP_SECONDS
        while time.monotonic() < give_up_at:
            with self._handling:
                if self._closed or _unread_bytes(self._fd) == 0:
                    self._report_dropped()
                    return
            time.sleep(0.0005)

    def join(self) -> None:
        """Waits (briefly) for the end of the output."""
        self._thread.join(_CATCH_UP_SECONDS)

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        while True:
            # Wait outside of the lock, read and handle inside: see `catch_up`.
            poller.poll()
            with self._handling:
                data = os.read(self._fd, _CHUNK)
                if not data:
                    self._flush()
                    os.close(self._fd)
                    self._closed = True
                    return
                self.feed(data)

    def feed(self, data: bytes) -> None:
        """Takes a piece of output."""
        self._refill()
        if self._tokens < len(data):
            self._dropped += len(data)
            self._cutting = self._cutting or bool(self._line) or not data.endswith(b"\n")
            self._line.clear()
            if data.endswith(b"\n"):
                self._cutting = False
            return
        self._tokens -= len(data)
        if self._clock() - self._reported_at >= _REPORT_DROPPED_EVERY_SECONDS:
            self._report_dropped()
        *whole, rest = data.split(b"\n")
        for piece in whole:
            if self._cutting:
                self._cutting = False
                continue
            self._emit(bytes(self._line) + piece)
            self._line.clear()
        if self._cutting:
            return
        self._line += rest
        if len(self._line) > MAX_LINE_BYTES:
            self._emit(bytes(self._line))
            self._line.clear()
            self._cutting = True

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(BURST_BYTES, self._tokens + (now - self._filled_at) * BYTES_PER_SECOND)
        self._filled_at = now

    def _flush(self) -> None:
        if self._line and not self._cutting:
            self._emit(bytes(self._line))
        self._line.clear()
        self._report_dropped()

    def _emit(self, line: bytes) -> None:
        line = line.rstrip(b"\r")
        if not line.strip():
            return
        if len(line) > MAX_LINE_BYTES:
            self._wrap(line[:MAX_LINE_BYTES], truncated=True)
        elif line.startswith(b"{") and _is_json(line):
            REGISTRY.observe(line)
            self._write(line)
        else:
            self._wrap(line)

    def _wrap(self, line: bytes, *, truncated: bool = False) -> None:
        document: dict[str, object] = {
            "event": line.decode("utf-8", "replace").replace("\r", "\n"),
            "level": "info",
            "function": self._function,
            "request_id": self.request_id,
            "timestamp": output.timestamp(),
        }
        if truncated:
            document["truncated"] = True
        self._write(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))

    def _report_dropped(self) -> None:
        if not self._dropped:
            return
        document = {
            "event": "output_dropped",
            "level": "warning",
            "function": self._function,
            "request_id": self.request_id,
            "bytes": self._dropped,
            "reason": f"more than {BYTES_PER_SECOND} bytes a second",
            "timestamp": output.timestamp(),
        }
        self._dropped = 0
        self._reported_at = self._clock()
        self._write(json.dumps(document).encode())


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        return False
    return True


def _unread_bytes(fd: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]
