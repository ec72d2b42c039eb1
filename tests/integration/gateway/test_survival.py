"""Bad clients, busy functions and starts that fail: nothing is lost, leaked or poisoned."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.build.openapi import placeholder_environment
from services.local.state import PROJECT
from services.mail.recipients import TOKEN_DIGITS
from services.platform import manifest
from tests.integration.gateway.support import (
    Running,
    answers_in,
    gateway,
    received,
    write_http_function,
)
from tests.support.waiting import eventually, scaled

ECHOES = """
    import json, os, time
    def handler(event, context):
        time.sleep(float(event.get("queryStringParameters", {}).get("sleep", 0)))
        print("worked on " + event["pathParameters"]["n"], flush=True)
        return {"statusCode": 200, "headers": {"x-pid": str(os.getpid())},
                "body": event["pathParameters"]["n"] + ":" + event.get("body", "")}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("survival")
    echoes = write_http_function(folder / "echoes", ECHOES, route="ANY /echo/{n}")
    slow = write_http_function(folder / "slow", ECHOES, route="GET /slow/{n}")
    with gateway(
        folder / "gateway",
        {"folder": str(echoes), "concurrency": 4},
        {"folder": str(slow), "concurrency": 1},
    ) as running:
        yield running


def test_two_hundred_requests_at_once_over_four_environments(served: Running) -> None:
    def ask(n: int) -> tuple[int, bytes, str | None]:
        answer = served.ask("POST", f"/echo/{n}", {"Content-Type": "text/plain"}, f"body {n}")
        return answer.status, answer.body, answer.header("x-pid")

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, range(200)))
    assert [(status, body) for status, body, _ in answers] == [
        (200, f"{n}:body {n}".encode()) for n in range(200)
    ]
    assert len({pid for _, _, pid in answers}) <= 4
    eventually(lambda: served.environments("echoes")["busy"] == 0, "all are free again")
    assert served.environments("echoes")["alive"] <= 4


def test_one_request_after_the_other_needs_one_environment(tmp_path: Path) -> None:
    folder = write_http_function(tmp_path / "f", ECHOES, route="GET /echo/{n}")
    with gateway(tmp_path / "gateway", {"folder": str(folder), "concurrency": 4}) as running:
        pids = {running.ask("GET", f"/echo/{n}").header("x-pid") for n in range(50)}
    assert len(pids) == 1


def test_a_busy_function_is_throttled_after_a_moment(served: Running) -> None:
    threads = [
        threading.Thread(target=served.ask, args=("GET", f"/slow/{n}?sleep={scaled(2.5)}"))
        for n in range(1)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: served.environments("slow") == {"alive": 1, "busy": 1}, "it is busy")
    began = time.monotonic()
    answer = served.ask("GET", "/slow/x")
    waited = time.monotonic() - began
    assert all(thread.is_alive() for thread in threads), "refused before the function is free"
    for thread in threads:
        thread.join()
    assert (answer.status, answer.message) == (503, "Service Unavailable")
    assert answer.header("retry-after") == "1"
    assert waited > 0.9
    assert served.ask("GET", "/slow/x").status == 200


def test_clients_that_hang_up_while_the_function_works(served: Running) -> None:
    before = len(served.events("report"))
    for n in range(8):
        sock = served.connect()
        sock.sendall(f"GET /echo/gone{n}?sleep=0.2 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if n % 2:
            # A reset, not a polite end.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.02)
        sock.close()
    eventually(lambda: len(served.events("report")) >= before + 8, "each is worked on")
    eventually(lambda: served.environments("echoes")["busy"] == 0, "all are free again")
    answer = served.ask("GET", "/echo/next")
    assert answer.body == b"next:", "no client gets another's response"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /echo/\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /echo/\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /echo/%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        (b"GET /echo/%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        (b"GET /echo/%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: a\r\nX: a\nb\x00\r\n\r\n", 400),
        (b"GET http://other/echo/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"GET /echo/x?q=%ff%zz%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"GET /echo/x HTTP/1.0\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400),
        (
            b"GET /echo/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
            200,
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /echo/x HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 40_000, 431),
        (
            b"POST /echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        (
            b"GET /echo/x HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
            200,
        ),
    ],
)
def test_odd_requests(served: Running, request_bytes: bytes, status: int) -> None:
    data = served.raw(request_bytes)
    assert answers_in(data)[:1] == [status], data
    assert b"Traceback" not in data
    assert b"h11" not in data
    if status != 200:
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"application/json" in head
        assert "message" in json.loads(body.partition(b"HTTP/1.1")[0])
    assert served.ask("GET", "/echo/x").status == 200
    assert served.events("request_failed") == []
    assert served.events("server_error") == []


def test_a_chunked_body(served: Running) -> None:
    data = served.raw(
        b"POST /echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"Content-Type: text/plain\r\n\r\n3\r\nabc\r\n",
        b"2\r\nde\r\n0\r\n\r\n",
    )
    assert data.endswith(b"x:abcde")


def test_request_with_two_lengths_is_answered_and_the_connection_ends(served: Running) -> None:
    request = (
        b"POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    data = served.raw(request + b"GET /echo/x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answers_in(data) == [200]
    assert b"connection: close" in data.lower()
    assert data.endswith(b"x:abc")


def test_body_that_waits_for_100_continue_is_read(served: Running) -> None:
    head = b"Host: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n"
    with served.connect() as sock:
        sock.sendall(b"POST /echo/x HTTP/1.1\r\nContent-Type: text/plain\r\n" + head + b"\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 100")
        sock.sendall(b"hi")
        assert received(sock).endswith(b"x:hi")
    refused = served.raw(b"POST /nowhere HTTP/1.1\r\n" + head + b"\r\n")
    assert answers_in(refused) == [404], "no 100 Continue for a body that is not read"


def test_more_body_than_was_declared(served: Running) -> None:
    data = served.raw(
        b"POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi and a lot more\r\n\r\n"
    )
    assert answers_in(data) == [200, 400]


def test_a_body_that_never_comes_holds_no_environment(served: Running) -> None:
    with served.connect() as sock:
        sock.sendall(b"POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        time.sleep(0.2)
        assert served.environments("echoes")["busy"] == 0
    assert served.ask("GET", "/echo/x").status == 200


def test_one_connection_many_requests(served: Running) -> None:
    request = "GET /echo/{} HTTP/1.1\r\nHost: a\r\n{}\r\n"
    pipelined = "".join(request.format(n, "") for n in range(20))
    data = served.raw((pipelined + request.format(20, "Connection: close\r\n")).encode())
    assert answers_in(data) == [200] * 21
    bodies = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200")[1:]]
    assert bodies == [f"{n}:".encode() for n in range(21)], "in order"


def test_environment_that_died_while_idle_costs_no_request(served: Running) -> None:
    pids = {served.ask("GET", "/echo/x").header("x-pid") for _ in range(8)}
    for pid in pids:
        os.kill(int(pid or 0), signal.SIGKILL)
    # One that is killed with an event in its hands may have worked on it: that is a 500, not this.
    eventually(lambda: not any(_running(pid) for pid in pids), "they are gone")
    time.sleep(0.2)  # the last of their threads too
    answers = [served.ask("GET", "/echo/x") for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 8
    assert pids.isdisjoint({answer.header("x-pid") for answer in answers})


def test_a_failed_start_costs_its_request_only(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    folder = write_http_function(
        tmp_path / "f",
        f"""
        import pathlib
        if pathlib.Path({str(broken)!r}).exists(): raise LookupError("a secret")
        def handler(event, context): return "well"
        """,
        route="GET /x",
    )
    hangs = write_http_function(tmp_path / "h", "import time; time.sleep(60)", route="GET /hangs")
    with gateway(
        tmp_path / "gateway", {"folder": str(folder)}, {"folder": str(hangs)}, WORKER_INIT_SECONDS=1
    ) as running:
        for _ in range(2):
            answer = running.ask("GET", "/x")
            assert (answer.status, answer.message) == (500, "Internal Server Error")
        assert running.health()["status"] == "failing"
        late = running.ask("GET", "/hangs")
        assert (late.status, late.message) == (503, "Service Unavailable")
        assert int(late.header("retry-after") or 0) > 0
        broken.unlink()
        assert running.ask("GET", "/x").body == b"well"
        eventually(lambda: running.environments("f") == {"alive": 1, "busy": 0}, "one is left")
        assert [line["error_type"] for line in running.events("init_failed")] == [
            "LookupError",
            "LookupError",
            "Sandbox.Timedout",
        ]


def test_authorizer_that_does_not_start_in_time_is_answered_503_with_retry_after(
    tmp_path: Path,
) -> None:
    closed = write_http_function(
        tmp_path / "f",
        "def handler(event, context): return {}",
        route="GET /x",
        authorization="session",
    )
    hangs = write_http_function(tmp_path / "a", "import time; time.sleep(60)")
    with gateway(
        tmp_path / "gateway", {"folder": str(closed)}, {"folder": str(hangs)}, WORKER_INIT_SECONDS=1
    ) as running:
        answer = running.ask("GET", "/x", {"Authorization": "Bearer ann"})
        assert (answer.status, answer.message) == (503, "Service Unavailable")
        assert int(answer.header("retry-after") or 0) > 0


def test_idle_environments_are_closed(tmp_path: Path) -> None:
    folder = write_http_function(tmp_path / "f", ECHOES, route="GET /echo/{n}")
    with gateway(tmp_path / "gateway", {"folder": str(folder)}, idle_seconds=1) as running:
        assert running.ask("GET", "/echo/x").status == 200
        assert running.environments("f")["alive"] == 1
        eventually(lambda: running.environments("f")["alive"] == 0, "it is closed")
        assert running.ask("GET", "/echo/x").status == 200
        assert Counter(e["event"] for e in running.lines())["environment_started"] == 2


def _running(pid: str | None) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_health_names_function_whose_service_does_not_answer(tmp_path: Path) -> None:
    function = manifest.load(PROJECT / "images" / "unsubscribe-recipient")
    with socket.create_server(("127.0.0.1", 0)) as hung:
        environment = placeholder_environment(function) | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{hung.getsockname()[1]}"
        }
        entry = {"folder": str(function.folder), "environment": environment}
        with gateway(tmp_path / "gateway", entry, init_seconds=60) as running:
            assert running.health()["status"] == "healthy"
            answer = running.ask("POST", f"/unsubscribe/{'0' * TOKEN_DIGITS}")
            assert answer.status == 503
            assert int(answer.header("retry-after") or 0) > 0
            health = running.health()
            assert health["status"] == "degraded"
            assert [f["unavailable"] for f in health["functions"]] == [True]
            assert running.ask("POST", "/unsubscribe/short").status == 400
            assert running.health()["status"] == "degraded"
