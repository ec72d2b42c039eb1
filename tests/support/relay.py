"""Relays TCP connections to a port on loopback, with optional delays."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

from tests.support.loopback import LOOPBACK

CONNECT_SECONDS = 10


class _Through(BaseRequestHandler):
    """Relays one connection in both directions until one side ends it."""

    server: _Server

    def handle(self) -> None:
        try:
            inside = socket.create_connection((LOOPBACK, self.server.target), CONNECT_SECONDS)
        except OSError:
            return  # nothing listens: the caller's connection ends
        asked = threading.Event()
        with inside:
            inside.settimeout(None)
            for end in (inside, self.request):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._answer, args=(inside, asked), daemon=True)
            back.start()
            for piece in _pieces(self.request):
                asked.set()
                with suppress(OSError):
                    inside.sendall(piece)
            _end(inside)
            back.join()

    def _answer(self, inside: socket.socket, asked: threading.Event) -> None:
        for piece in _pieces(inside):
            if asked.is_set():
                asked.clear()
                time.sleep(self.server.pause_seconds)
            with suppress(OSError):
                self.request.sendall(piece)
        _end(self.request)


def _pieces(source: Any) -> Iterator[bytes]:
    with suppress(OSError):
        while piece := source.recv(65_536):
            yield piece


def _end(sink: Any) -> None:
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], target: int, pause_seconds: float) -> None:
        self.target, self.pause_seconds = target, pause_seconds
        super().__init__(address, _Through)


@contextmanager
def relayed(
    target: int, *, address: str = LOOPBACK, port: int = 0, pause_seconds: float = 0
) -> Iterator[int]:
    """Relays connections to `address` and `port` to the port `target` on loopback; yields the port.

    Port 0 takes a free port. Each response is delayed by `pause_seconds`. Raises OSError if the
    machine does not have the address.
    """
    with _Server((address, port), target, pause_seconds) as server:
        threading.Thread(target=server.serve_forever, name="relay", daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
