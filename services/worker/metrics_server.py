"""Serves the worker's metrics and its health over HTTP: `/metrics` for Prometheus, `/health`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from services.runtime.metrics import CONTENT_TYPE, exposition
from services.runtime.status import FunctionStatus

# A client that sends nothing is disconnected.
CLIENT_SECONDS = 5


def start(
    host: str, port: int, functions: tuple[FunctionStatus, ...], healthy: Callable[[], bool]
) -> ThreadingHTTPServer:
    """Listens on `port` in a thread of its own. Raises OSError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                text = exposition(functions, healthy=healthy())
                self._answer(HTTPStatus.OK, CONTENT_TYPE, text)
            elif path == "/health":
                well = healthy()
                status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
                document = {
                    "status": "healthy" if well else "failing",
                    "functions": {one.name: one.snapshot() for one in functions},
                }
                self._answer(status, "application/json", json.dumps(document))
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "expected /metrics or /health\n")

        def _answer(self, status: HTTPStatus, content_type: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Writes no line for a request."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
