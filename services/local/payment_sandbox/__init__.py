"""Starts and stops the payment sandbox as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

from services.local.emulator import LOOPBACK, free_port
from services.local.payment_sandbox.server import API_KEY, SLOW_SECONDS, WEBHOOK_SECRET
from services.local.payment_sandbox.service import Method
from services.platform.errors import TransientError

__all__ = [
    "API_KEY",
    "WEBHOOK_SECRET",
    "Method",
    "PaymentProvider",
    "healthy",
    "running",
    "start",
    "stop",
]

START_TIMEOUT_SECONDS = 15
STOP_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class PaymentProvider:
    """A running provider: its process, and the client's settings."""

    process: subprocess.Popen[bytes]
    port: int
    api_key: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def payments(self, order_id: str | None = None) -> list[dict[str, Any]]:
        """The provider's payments, or those of one order."""
        query = "" if order_id is None else f"?order_id={order_id}"
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/payments{query}", headers={"authorization": f"Bearer {self.api_key}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)["payments"]
            return found


def start(
    port: int,
    ledger: Path,
    log_file: Path,
    *,
    api_key: str,
    webhook_secret: str,
    webhook_url: str | None = None,
    slow_seconds: float = SLOW_SECONDS,
) -> PaymentProvider:
    """Starts the provider with its `ledger` (an SQLite file, created if missing) and waits until it
    answers.

    Webhooks go to `webhook_url`, if given. Raises TransientError with the end of its log when it
    does not answer in time.
    """
    options = ["--port", str(port), "--ledger", str(ledger), "--slow-seconds", str(slow_seconds)]
    if webhook_url is not None:
        options += ["--webhook-url", webhook_url]
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.local.payment_sandbox", *options],
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                API_KEY: api_key,
                WEBHOOK_SECRET: webhook_secret,
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    provider = PaymentProvider(process, port, api_key)
    give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
    while not healthy(provider.url):
        if process.poll() is not None or time.monotonic() > give_up_at:
            stop(provider)
            tail = log_file.read_text(errors="replace")[-2000:]
            raise TransientError(
                f"the payment provider did not answer on port {port} within "
                f"{START_TIMEOUT_SECONDS} s; the end of {log_file}:\n{tail}"
            )
        time.sleep(0.02)
    return provider


def healthy(url: str) -> bool:
    """Whether a provider answers at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310
            return bool(json.load(answer) == {"status": "ok"})
    except (URLError, OSError, ValueError):
        return False


def stop(provider: PaymentProvider) -> None:
    """Stops the provider at once. Its ledger is consistent at any moment."""
    if provider.process.poll() is None:
        provider.process.terminate()
    try:
        provider.process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        provider.process.kill()
        provider.process.wait()


@contextmanager
def running(
    folder: Path, *, api_key: str, webhook_secret: str, port: int | None = None, **options: Any
) -> Iterator[PaymentProvider]:
    """A provider for a `with` block, on a free port unless `port` is given."""
    provider = start(
        port or free_port(),
        folder / "payments.sqlite",
        folder / "payment-provider.log",
        api_key=api_key,
        webhook_secret=webhook_secret,
        **options,
    )
    try:
        yield provider
    finally:
        stop(provider)
