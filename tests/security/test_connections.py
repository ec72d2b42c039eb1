"""Attacks on the HTTP server of a lab: smuggled requests, slow connections, odd heads."""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from services.gateway.server import MAX_CONNECTIONS_PER_ADDRESS
from services.local.state import LabState
from tests.security.conftest import Attacker
from tests.support.waiting import HTTP_SECONDS, scaled


def connect(lab: LabState, source: str = "127.0.0.1") -> socket.socket:
    target = urlsplit(lab.api)
    return socket.create_connection(
        (target.hostname or "", target.port or 0), scaled(HTTP_SECONDS), (source, 0)
    )


def exchange(lab: LabState, sent: bytes) -> bytes:
    """Everything that the server answers until it ends the connection."""
    with connect(lab) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        found = b""
        while piece := sock.recv(65_536):
            found += piece
        return found


def statuses(answer: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


SMUGGLED = b"GET /products HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 0\r\nContent-Length: 40\r\n",
        b"Content-Length: 0, 40\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: \xc2\xb2\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b" folded: yes\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ],
)
def test_smuggled_request_is_not_answered(lab: LabState, head: bytes) -> None:
    request = b"POST /sessions HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n0\r\n\r\n" + SMUGGLED
    answer = exchange(lab, request)
    assert len(statuses(answer)) == 1, answer
    assert statuses(answer)[0] in (400, 415, 501), answer
    assert b'"products"' not in answer
    assert b"Traceback" not in answer


def test_slow_connections_of_one_address_leave_others_served(lab: LabState) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS_PER_ADDRESS + 50):
            sock = stack.enter_context(connect(lab, "127.0.0.2"))
            sock.sendall(b"GET /products HTTP/1.1\r\nHost")
        other = stack.enter_context(connect(lab, "127.0.0.3"))
        other.sendall(b"GET /products HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert other.recv(12) == b"HTTP/1.1 200"


def test_trace_and_connect_are_not_served(attacker: Attacker) -> None:
    for method in ("TRACE", "CONNECT", "PUT", "DELETE"):
        answer = attacker.send(method, "/products", headers={"x-secret": "s3cret"})
        assert answer.status_code in (400, 404, 405)
        assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/images/..%2f..%2fusers",
        "/orders/%00",
        "/orders/'%20OR%201=1--",
        "/images/" + "a" * 4000,
    ],
)
def test_path_out_of_bounds_reaches_nothing(lab: LabState, attacker: Attacker, path: str) -> None:
    answer = exchange(lab, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert statuses(answer)[0] in (400, 401, 404, 414, 431), answer[:300]
    assert b"root:" not in answer
    assert attacker.send("GET", "/products").status_code == 200


def test_answers_carry_the_headers_of_defence(attacker: Attacker) -> None:
    for answer in (attacker.send("GET", "/products"), attacker.send("POST", "/sessions")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "max-age" in answer.headers["strict-transport-security"]
        assert "server" not in answer.headers


def test_foreign_page_is_not_allowed_to_read(attacker: Attacker) -> None:
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        answer = attacker.send(
            "OPTIONS",
            "/orders",
            headers={"origin": origin, "access-control-request-method": "POST"},
        )
        assert "access-control-allow-origin" not in answer.headers
        answer = attacker.send("GET", "/products", headers={"origin": origin})
        assert answer.headers.get("access-control-allow-origin") in (None, "*")
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 20_000,
        json.dumps({f"unknown{n}": 1 for n in range(4000)}).encode(),
        json.dumps({"x" * 60_000: "y"}).encode(),
        json.dumps({"email": "y" * 60_000}).encode(),
    ],
)
def test_huge_or_nested_body_gets_a_small_answer(attacker: Attacker, body: bytes) -> None:
    answer = attacker.send(
        "POST", "/users", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 413)
    assert len(answer.content) < 8_192
