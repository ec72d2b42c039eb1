"""A small HTTP server in the test's own process: the other side of a client, whose every answer the
test decides. It also stands between a client and a real server, to lose and delay what they say."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.waiting import scaled

LOOPBACK = "127.0.0.1"
_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Received:
    """A request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What is answered: `document` as JSON, or bytes as they are; `headers` besides type and
    length."""

    status: int
    document: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        raw = self.document
        return raw if isinstance(raw, bytes) else json.dumps(raw).encode()


# None: the connection is closed without an answer.
Respond = Callable[[Received], Reply | None]


@dataclass
class Served:
    """A running server and what it was asked, in order."""

    url: str
    received: list[Received] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [f"{one.method} {urlsplit(one.path).path}" for one in self.received]


@contextmanager
def serving(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Answers on a free port of loopback for the length of a `with` block; over TLS with `tls`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.command, self.path, headers, body)
            served.received.append(request)
            reply = respond(request)
            if reply is None:
                self.close_connection = True
                return
            with suppress(ConnectionError):  # the client did not wait
                self.send_response(reply.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply.body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

        do_GET = do_POST = _answer  # noqa: N815  the names there

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  its name there
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server((LOOPBACK, 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if tls is None else "https"
        served = Served(f"{scheme}://{LOOPBACK}:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join(scaled(_PATIENCE_SECONDS))


def record_delays(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A list that gets, for each `sendall` of this process, whether the system may delay the packet
    until the one before is acknowledged (Nagle's algorithm): up to 40 ms."""
    delayed: list[bool] = []

    def sendall(self: socket.socket, data: bytes, flags: int = 0) -> None:
        delayed.append(not self.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        original(self, data, flags)

    original = socket.socket.sendall
    monkeypatch.setattr(socket.socket, "sendall", sendall)
    return delayed


@contextmanager
def scripted(*replies: Reply | None) -> Iterator[Served]:
    """Answers with `replies`, in order. Fails at the end when not all of them were asked for."""
    left = list(replies)
    with serving(lambda _: left.pop(0) if left else Reply(418, {"error": "out of script"})) as one:
        yield one
    assert not left, f"never asked for {left}"


def forward(url: str, request: Received) -> Reply:
    """The answer of the server at `url` to the same request."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=scaled(_PATIENCE_SECONDS))
    try:
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "connection")}
        connection.request(request.method, request.path, request.body, headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.read())
    finally:
        connection.close()


@dataclass
class Wire:
    """Between a client and the server at `url`. `faults` are used up, one a request that `ends`
    with the given path: "lost" never arrives, "late" arrives and is answered after so long, and any
    other is none."""

    url: str
    late_seconds: float
    ends: str = ""
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def respond(self, request: Received) -> Reply | None:
        with self._lock:
            hit = self.faults and urlsplit(request.path).path.endswith(self.ends)
            fault = self.faults.pop(0) if hit else "none"
        if fault == "lost":
            return None
        reply = forward(self.url, request)
        if fault == "late":
            time.sleep(self.late_seconds)
        return reply
