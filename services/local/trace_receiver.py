"""Keeps the traces of a lab: takes OTLP over HTTP as JSON, and appends each export to a file.

`python -m services.local.trace_receiver FILE PORT`
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from services.local.emulator import LOOPBACK

PATH = "/v1/traces"
BODY_BYTES_MAX = 16 * 1024 * 1024
# Older traces of a lab that runs long are overwritten.
FILE_BYTES_MAX = 64 * 1024 * 1024
CLIENT_SECONDS = 5


def make_server(file: Path, port: int) -> ThreadingHTTPServer:
    """A server that listens on `port`; 0 takes a free one."""
    writing = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if self.path != PATH or not 0 < length <= BODY_BYTES_MAX:
                self._answer(HTTPStatus.NOT_FOUND)
                return
            try:
                document = json.loads(self.rfile.read(length))
            except (ValueError, RecursionError):
                self._answer(HTTPStatus.BAD_REQUEST)
                return
            with writing:
                large = file.exists() and file.stat().st_size > FILE_BYTES_MAX
                with file.open("w" if large else "a", encoding="utf-8") as opened:
                    opened.write(json.dumps(document, separators=(",", ":")) + "\n")
            self._answer(HTTPStatus.OK)

        def _answer(self, status: HTTPStatus) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Writes no line for a request."""

    return ThreadingHTTPServer((LOOPBACK, port), Handler)


def main() -> int:
    server = make_server(Path(sys.argv[1]), int(sys.argv[2]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
