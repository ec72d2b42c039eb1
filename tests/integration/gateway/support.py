"""Real gateways and http workers as processes, serving handlers that a test writes."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.integration.worker.support import ROOT, RunningWorker
from tests.support.waiting import HTTP_SECONDS, scaled


def write_http_function(
    folder: Path,
    handler: str,
    *,
    route: str | None = None,
    authorization: str = "none",
    cache_seconds: int = 30,
    timeout_seconds: int = 10,
    memory_mib: int = 256,
) -> Path:
    """A function's folder; without a route it is an authorizer."""
    trigger = (
        f'http: {{route: "{route}", authorization: {authorization}, maximum_concurrency: 4}}'
        if route is not None
        else f"authorizer: {{cache_seconds: {cache_seconds}, maximum_concurrency: 4}}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "handler.py").write_text(textwrap.dedent(handler))
    (folder / "function.yaml").write_text(
        f"description: For a test.\nfeature: photos\nmemory_mib: {memory_mib}\n"
        f"timeout_seconds: {timeout_seconds}\ntrigger:\n  {trigger}\n"
        "budgets: {image_mib_over_base: 1, init_kib: 1, init_ms: 1000}\n"
    )
    return folder


@dataclass(frozen=True)
class Response:
    """An answer: `headers` keeps what is there more than once."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name), None)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json()["message"])


@dataclass
class Running(RunningWorker):
    """A process that serves HTTP."""

    port: int = 0

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
    ) -> Response:
        """One request on a connection of its own; `target` goes out as it is."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=scaled(HTTP_SECONDS)
        )
        try:
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            return Response(answer.status, tuple(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), scaled(HTTP_SECONDS))

    def raw(self, *pieces: bytes) -> bytes:
        """Sends bytes; all that comes back until the connection ends."""
        with self.connect() as sock:
            try:
                for piece in pieces:
                    sock.sendall(piece)
                return received(sock)
            except (ConnectionResetError, BrokenPipeError):
                return b""

    def health(self) -> Any:
        return self.ask("GET", "/_darkroom/health").json()

    def environments(self, function: str) -> dict[str, int]:
        (found,) = [f for f in self.health()["functions"] if f["name"] == function]
        return dict(found["environments"])


def received(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def answers_in(data: bytes) -> list[int]:
    """The statuses of the answers on a connection."""
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]


@contextmanager
def gateway(folder: Path, *entries: Mapping[str, Any], **options: Any) -> Iterator[Running]:
    """A gateway for the length of a `with` block. Upper-case options are environment variables."""
    variables = {k: str(v) for k, v in options.items() if k.isupper()}
    settings = {k: v for k, v in options.items() if not k.isupper()}
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "gateway.json"
    config.write_text(json.dumps({"port": 0, "functions": entries, **settings}))
    arguments = ["-m", "services.gateway", str(config)]
    with _process(arguments, variables, folder / "gateway.log", "gateway_started") as running:
        yield running


@contextmanager
def http_worker(folder: Path, log_file: Path, **variables: str | int | Path) -> Iterator[Running]:
    """A single function's worker, as in its container."""
    texts = {"WORKER_HTTP_HOST": "127.0.0.1", "WORKER_HTTP_PORT": "0"}
    texts |= {name: str(value) for name, value in variables.items()}
    arguments = ["-m", "services.worker", "--function", str(folder)]
    with _process(arguments, texts, log_file, "worker_started") as running:
        yield running


@contextmanager
def _process(
    arguments: list[str], variables: Mapping[str, str], log_file: Path, started: str
) -> Iterator[Running]:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "AWS_REGION": "eu-west-1",
        **variables,
    }
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    running = Running(process, log_file)
    try:
        (line,) = running.await_event(started)
        running.port = urlsplit(line["address"]).port or 0
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(scaled(10))
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
