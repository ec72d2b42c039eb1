"""The proxy that causes faults causes no others."""

from __future__ import annotations

import http.client
import socket
import threading
from urllib.parse import urlsplit

from tests.support.fault_proxy import fault_proxy
from tests.support.loopback import LOOPBACK
from tests.support.waiting import scaled

REQUESTS = 3


def test_connection_that_the_emulator_closed_while_idle_is_opened_again() -> None:
    with socket.create_server((LOOPBACK, 0)) as listening:
        closed = threading.Semaphore(0)

        def answer_once_a_connection() -> None:
            for _ in range(REQUESTS):
                connected, _ = listening.accept()
                with connected:
                    connected.recv(65536)
                    connected.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                closed.release()

        thread = threading.Thread(target=answer_once_a_connection, daemon=True)
        thread.start()
        with fault_proxy(f"http://{LOOPBACK}:{listening.getsockname()[1]}") as proxy:
            client = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=scaled(10))
            for _ in range(REQUESTS):
                client.request("GET", "/")
                assert client.getresponse().read() == b"{}"
                assert closed.acquire(timeout=scaled(10))
            client.close()
        thread.join(scaled(10))
