"""The Runtime API, spoken to by a plain HTTP client."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from services.runtime.runtime_api import MAX_PAYLOAD_BYTES, Event, Request, RuntimeApi
from tests.support.waiting import scaled


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    served = RuntimeApi()
    yield served
    served.close()


class Asked:
    """A request made in the background; `answer` waits for what came back."""

    def __init__(self, api: RuntimeApi, method: str, path: str, body: bytes = b"") -> None:
        self._found: list[Any] = []
        self._thread = threading.Thread(target=self._ask, args=(api.address, method, path, body))
        self._thread.start()

    def _ask(self, address: str, method: str, path: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(address, timeout=5)
        connection.request(method, path, body)
        answer = connection.getresponse()
        self._found.append((answer.status, dict(answer.getheaders()), answer.read()))
        connection.close()

    def answer(self) -> Any:
        self._thread.join(scaled(10))
        return self._found[0]


def wait(api: RuntimeApi, seconds: float = 5.0) -> Request | Event:
    return api.wait(time.monotonic() + seconds, 0.01, lambda: True)


def test_a_request_and_its_answer(api: RuntimeApi) -> None:
    asked = Asked(api, "GET", "/2018-06-01/runtime/invocation/next")
    request = wait(api)
    assert isinstance(request, Request)
    assert (request.method, request.path) == ("GET", "/2018-06-01/runtime/invocation/next")
    assert api.connected(request)
    assert api.reply(request, HTTPStatus.OK, {"Lambda-Runtime-Aws-Request-Id": "r"}, b"{}", 1)
    status, headers, body = asked.answer()
    assert (status, headers["Lambda-Runtime-Aws-Request-Id"], body) == (200, "r", b"{}")


def test_a_large_body_in_pieces(api: RuntimeApi) -> None:
    body = os.urandom(MAX_PAYLOAD_BYTES)
    asked = Asked(api, "POST", "/response", body)
    request = wait(api)
    assert isinstance(request, Request)
    assert request.body == body
    assert not request.too_large
    api.reply(request, HTTPStatus.ACCEPTED, {}, b"", 1)
    assert asked.answer()[0] == 202


def test_a_body_beyond_the_limit_is_not_taken(api: RuntimeApi) -> None:
    with socket.create_connection(tuple(api.address.split(":"))) as sock:  # type: ignore[arg-type]
        sock.sendall(b"POST /response HTTP/1.1\r\nContent-Length: 6291457\r\n\r\n")
        request = wait(api)
        assert isinstance(request, Request)
        assert request.too_large
        assert request.body == b""


def test_a_client_that_wants_to_be_asked_is_asked(api: RuntimeApi) -> None:
    host, port = api.address.split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(b"POST /r HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert wait(api, 0.1) is Event.TIMED_OUT
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        request = wait(api)
        assert isinstance(request, Request)
        assert request.body == b"{}"


def test_two_requests_on_one_connection(api: RuntimeApi) -> None:
    host, port = api.address.split(":")
    with socket.create_connection((host, int(port))) as sock:
        for path in ("/one", "/two"):
            sock.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            request = wait(api)
            assert isinstance(request, Request)
            assert request.path == path
            assert api.reply(request, HTTPStatus.OK, {}, b"x", 1)
            assert sock.recv(1000).endswith(b"\r\n\r\nx")


def test_time_runs_out(api: RuntimeApi) -> None:
    began = time.monotonic()
    assert wait(api, 0.05) is Event.TIMED_OUT
    assert time.monotonic() - began >= 0.05


def test_the_tick_stops_the_waiting(api: RuntimeApi) -> None:
    ticks = iter([True, True, False])
    assert api.wait(time.monotonic() + 5, 0.01, lambda: next(ticks)) is Event.STOPPED


def test_the_processs_end_is_seen_but_its_last_word_comes_first(api: RuntimeApi) -> None:
    read_end, write_end = os.pipe()
    api.watch(read_end)
    host, port = api.address.split(":")
    with socket.create_connection((host, int(port))) as sock:
        assert wait(api, 0.05) is Event.TIMED_OUT
        sock.sendall(b"POST /last HTTP/1.1\r\nContent-Length: 1\r\n\r\n!")
        os.write(write_end, b"x")
        request = wait(api)
        assert isinstance(request, Request)
        assert request.path == "/last"
        assert wait(api) is Event.ENDED
    os.close(read_end)
    os.close(write_end)


def test_client_that_disconnects_is_forgotten(api: RuntimeApi) -> None:
    host, port = api.address.split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(b"GET /next HTTP/1.1\r\n\r\n")
        request = wait(api)
        assert isinstance(request, Request)
    assert wait(api, 0.05) is Event.TIMED_OUT
    assert not api.connected(request)


def test_it_listens_on_loopback_only(api: RuntimeApi) -> None:
    assert api.address.startswith("127.0.0.1:")


@pytest.mark.parametrize("length", ["²", "-1", "1e3", "+5", ""])
def test_request_with_invalid_content_length_has_no_body(api: RuntimeApi, length: str) -> None:
    host, port = api.address.split(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        head = f"POST /x HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"
        sock.sendall(head.encode("latin-1"))
        request = wait(api)
    assert isinstance(request, Request)
    assert request.body == b""
