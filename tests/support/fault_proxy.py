"""An HTTP proxy on loopback between AWS clients and an emulator, which causes faults.

Which request meets which fault follows from the seed, the action and the number of the request of
that action, so a run can be repeated. Actions are named as in AWS's APIs: `DeleteMessageBatch`.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from urllib3.util import wait_for_read

from tests.support.loopback import LOOPBACK
from tests.support.waiting import scaled

_PATIENCE_SECONDS = 30
# Closing a socket with this option sends RST at once.
_RESET = struct.pack("ii", 1, 0)
_NOT_FORWARDED = frozenset({"host", "connection", "transfer-encoding", "content-length"})


class Fault(StrEnum):
    """What happens to a request."""

    SLOW = "slow"
    """The answer comes `slow_seconds` late."""
    LOST = "lost"
    """The emulator executes the request; its answer does not arrive."""
    RESET = "reset"
    """The connection is reset before the request reaches the emulator."""
    DENIED = "denied"
    """403 AccessDenied; the emulator does not get the request."""
    FAILED = "failed"
    """500 InternalFailure; the emulator does not get the request."""
    UNAVAILABLE = "unavailable"
    """503 ServiceUnavailable; the emulator does not get the request."""
    THROTTLED = "throttled"
    """400 Throttling; the emulator does not get the request."""


_ERRORS = {
    Fault.DENIED: (403, "AccessDenied"),
    Fault.FAILED: (500, "InternalFailure"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable"),
    Fault.THROTTLED: (400, "Throttling"),
}


@dataclass(frozen=True)
class Rule:
    """Causes a fault in a share of the requests of an action."""

    action: str
    fault: Fault
    share: float = 1.0


Rewrite = Callable[[str, bytes], bytes]
"""Gets the action and the body of the emulator's answer; returns the body to pass on."""


@dataclass
class FaultProxy:
    """A running proxy. `rules` may be replaced at any time; the first that applies to a request
    counts. `requests` counts requests by action, `faults` by action and fault; `bodies` holds what
    was sent for the actions in `recorded`."""

    url: str = ""
    rules: Sequence[Rule] = ()
    seed: int = 1
    slow_seconds: float = 0.5
    rewrite: Rewrite = lambda _action, body: body
    recorded: frozenset[str] = frozenset()
    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def choose(self, action: str, body: bytes = b"") -> Fault | None:
        """The fault of the next request of `action`."""
        with self._lock:
            number = self.requests[action]
            self.requests[action] += 1
            if action in self.recorded:
                self.bodies.append((action, body))
            # The share is drawn once for all rules of an action, so that shares add up.
            drawn = random.Random(f"{self.seed} {action} {number}").random()
            for rule in self.rules:
                if rule.action != action:
                    continue
                if drawn < rule.share:
                    self.faults[action, rule.fault] += 1
                    return rule.fault
                drawn -= rule.share
            return None


@contextmanager
def fault_proxy(target: str, rules: Sequence[Rule] = (), **options: Any) -> Iterator[FaultProxy]:
    """A proxy to the URL `target` for the length of a `with` block; options of FaultProxy."""
    proxy = FaultProxy(rules=rules, **options)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)

    class Handler(_Handler):
        pass

    Handler.proxy, Handler.target = proxy, urlsplit(target).netloc
    with Server((LOOPBACK, 0), Handler) as server:
        proxy.url = f"http://{LOOPBACK}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join(scaled(_PATIENCE_SECONDS))


def action_of(headers: Any, body: bytes) -> str:
    """The action that a request names: a header in JSON protocols, a field in query protocols;
    empty for REST protocols such as S3's."""
    target = headers.get("x-amz-target", "")
    if target:
        return str(target).rpartition(".")[2]
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    return ""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one connection to the emulator."""

    proxy: FaultProxy
    target: str
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _upstream: http.client.HTTPConnection | None = None

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        action = action_of(self.headers, body)
        fault = self.proxy.choose(action, body)
        if fault is Fault.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close_connection = True
            return
        if fault in _ERRORS:
            self._refuse(*_ERRORS[fault])
            return
        try:
            status, headers, answer = self._forward(body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the emulator is away, and so is the answer
            return
        if fault is Fault.LOST:
            self.close_connection = True
            return
        if fault is Fault.SLOW:
            time.sleep(self.proxy.slow_seconds)
        self._answer(status, headers, self.proxy.rewrite(action, answer))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _relay  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_FORWARDED}
        if self._upstream is None:
            self._upstream = http.client.HTTPConnection(
                self.target, timeout=scaled(_PATIENCE_SECONDS)
            )
        elif self._upstream.sock is not None and wait_for_read(self._upstream.sock, 0):
            # The emulator has closed the idle connection. The next request opens another.
            self._upstream.close()
        # The host that the client signed.
        headers["Host"] = self.headers.get("host", self.target)
        self._upstream.request(self.command, self.path, body, headers)
        answer = self._upstream.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    def _refuse(self, status: int, code: str) -> None:
        if "x-amz-target" in self.headers:
            document: dict[str, str] = {"__type": f"com.amazonaws#{code}", "message": "by the test"}
            kind, body = "application/x-amz-json-1.0", json.dumps(document).encode()
        else:
            kind, body = (
                "text/xml",
                (
                    "<ErrorResponse><Error><Type>Sender</Type>"
                    f"<Code>{code}</Code><Message>by the test</Message></Error></ErrorResponse>"
                ).encode(),
            )
        self._answer(status, [("content-type", kind)], body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        with suppress(OSError):  # the client did not wait
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in _NOT_FORWARDED:
                    self.send_header(name, value)
            length = next((v for k, v in headers if k.lower() == "content-length"), "0")
            self.send_header("content-length", length if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  its name there
        pass
