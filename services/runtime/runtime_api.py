"""Lambda's Runtime API for one execution environment, on a loopback port of its own.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

The invoking thread serves it: it waits for the runtime's next request, for the process's end and
for the deadline at once, so that an invocation needs no switch between threads.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

LOOPBACK = "127.0.0.1"
BASE = "/2018-06-01/runtime"
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (6 MB each way)
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
# awslambdaric sends the cause of an error as a header of up to 1 MiB.
MAX_HEAD_BYTES = 2 * 1024 * 1024
# A runtime keeps one connection; a handler may open a few more.
MAX_CONNECTIONS = 8
_CHUNK = 64 * 1024


class Event(Enum):
    """What `wait` returns instead of a request."""

    ENDED = auto()
    """The process has ended."""
    TIMED_OUT = auto()
    """The given time was reached."""
    STOPPED = auto()
    """The tick ended the wait."""


@dataclass(frozen=True)
class Request:
    """A complete request, to be answered with `RuntimeApi.reply`."""

    connection: _Connection
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    too_large: bool


class _Connection:
    """One client's connection: splits its bytes into requests."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._received = bytearray()
        self._continued = False

    def receive(self) -> bool:
        """Reads available bytes. False when the client has disconnected."""
        try:
            data = self.sock.recv(_CHUNK)
        except OSError:
            return False
        self._received += data
        return bool(data) and len(self._received) <= MAX_HEAD_BYTES + MAX_PAYLOAD_BYTES

    def request(self) -> Request | None:
        """The next complete request, or None until there is one."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = bytes(self._received[:end]).decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length_text = headers.get("content-length", "0")
        length = int(length_text) if length_text.isascii() and length_text.isdigit() else 0
        too_large = length > MAX_PAYLOAD_BYTES
        start = end + 4
        if not too_large and len(self._received) < start + length:
            if headers.get("expect", "").lower() == "100-continue" and not self._continued:
                self._continued = True
                self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body = b"" if too_large else bytes(self._received[start : start + length])
        del self._received[: start + length]
        self._continued = False
        return Request(self, method, rest.partition(" ")[0], headers, body, too_large)


class RuntimeApi:
    """The server's side. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server((LOOPBACK, 0), backlog=MAX_CONNECTIONS)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._connections: list[_Connection] = []
        self._process_fd: int | None = None

    @property
    def address(self) -> str:
        """host:port for AWS_LAMBDA_RUNTIME_API."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def watch(self, process_fd: int) -> None:
        """Makes `wait` answer ENDED when `process_fd`, a pidfd, becomes readable."""
        self._process_fd = process_fd
        self._selector.register(process_fd, selectors.EVENT_READ)

    def wait(self, until: float, tick_seconds: float, tick: Callable[[], bool]) -> Request | Event:
        """The runtime's next request, or the event that came before it.

        `until` is a time of `time.monotonic`. `tick` is called at least every `tick_seconds` and
        returns whether to go on waiting. A request that is complete wins over the process's end.
        """
        next_tick = time.monotonic() + tick_seconds
        while True:
            ended = False
            patience = min(until, next_tick) - time.monotonic()
            for key, _ in self._selector.select(max(0.0, patience)):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fd == self._process_fd:
                    ended = True
                else:
                    request = self._receive(key.data)
                    if request is not None:
                        return request
            if ended:
                return self._last_request() or Event.ENDED
            now = time.monotonic()
            if now >= until:
                return Event.TIMED_OUT
            if now >= next_tick:
                if not tick():
                    return Event.STOPPED
                next_tick = now + tick_seconds

    def connected(self, request: Request) -> bool:
        """Whether the sender of `request` is still connected."""
        return request.connection in self._connections

    def reply(
        self,
        request: Request,
        status: HTTPStatus,
        headers: dict[str, str],
        body: bytes,
        timeout_seconds: float,
    ) -> bool:
        """Sends a response; False when the client has disconnected or does not read in time."""
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        sock = request.connection.sock
        try:
            sock.settimeout(max(0.001, timeout_seconds))
            sock.sendall(head + body)
        except OSError:
            self._drop(request.connection)
            return False
        return True

    def close(self) -> None:
        """Closes all connections. Safe to call twice."""
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        if len(self._connections) >= MAX_CONNECTIONS:
            sock.close()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock)
        self._connections.append(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _receive(self, connection: _Connection) -> Request | None:
        if not connection.receive():
            self._drop(connection)
            return None
        return connection.request()

    def _last_request(self) -> Request | None:
        """The last complete request that the process sent before it ended."""
        for connection in list(self._connections):
            connection.sock.setblocking(False)
            while connection.receive():
                request = connection.request()
                if request is not None:
                    return request
            self._drop(connection)
        return None

    def _drop(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._selector.unregister(connection.sock)
            connection.sock.close()
