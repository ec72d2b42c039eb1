"""Runs localstripe (https://pypi.org/project/localstripe/), a Stripe-compatible server.

    python -m tests.support.localstripe PORT

Its own command listens on every address, needs IPv6, and stores payments in one shared file. This
module makes it listen on loopback and store nothing.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import stripe

from services.local.emulator import LOOPBACK, free_port
from tests.support.waiting import scaled

API_KEY = "sk_test_of_the_lab"
START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS = 30, 10
# Card numbers: accepted, declined, and with an authentication by the bank.
GOOD, DECLINED, BANK = "4242424242424242", "4000000000000341", "4000002500003155"


@dataclass(frozen=True)
class LocalStripe:
    """A running localstripe."""

    url: str

    @property
    def client(self) -> stripe.StripeClient:
        """A client for reading its payments."""
        return stripe.StripeClient(API_KEY, base_addresses={"api": self.url})

    def card(self, number: str = GOOD) -> str:
        """Creates a payment method and returns its id."""
        # Any: the SDK's types demand optional fields of a card too.
        card: Any = {"number": number, "exp_month": 12, "exp_year": 2035, "cvc": "123"}
        made = self.client.v1.payment_methods.create({"type": "card", "card": card})
        return str(made.id)

    def intents(self, order_id: str) -> list[Any]:
        """The payments of an order."""
        found = self.client.v1.payment_intents.list({"limit": 100}).auto_paging_iter()
        return [one for one in found if getattr(one.metadata, "order_id", None) == order_id]

    def charged(self, order_id: str) -> int:
        """The number of the order's charged payments."""
        return sum(one.status == "succeeded" for one in self.intents(order_id))

    def refunds(self, payment_id: str) -> list[Any]:
        return list(self.client.v1.refunds.list({"payment_intent": payment_id}).data)

    def send_webhooks_to(self, url: str, secret: str) -> None:
        self.ask("POST", "/_config/webhooks/lab", f"url={url}&secret={secret}")

    def ask(self, method: str, path: str, form: str = "") -> None:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=scaled(10))
        try:
            headers = {"content-type": "application/x-www-form-urlencoded"}
            connection.request(method, path, form, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, f"{method} {path}: {answer.status}"
        finally:
            connection.close()


@contextmanager
def running(log_file: Path) -> Iterator[LocalStripe]:
    """Runs localstripe for the duration of the `with` block.

    Raises AssertionError with the end of its log if it does not answer in time.
    """
    port = free_port()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.localstripe", str(port)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    started = LocalStripe(f"http://{LOOPBACK}:{port}")
    give_up_at = time.monotonic() + scaled(START_TIMEOUT_SECONDS)
    try:
        while True:
            try:
                started.ask("DELETE", "/_config/data")
                break
            except OSError:
                tail = log_file.read_text(errors="replace")[-2000:]
                assert process.poll() is None, f"localstripe ended; its log:\n{tail}"
                assert time.monotonic() < give_up_at, f"localstripe does not answer; log:\n{tail}"
                time.sleep(0.05)
        yield started
    finally:
        process.terminate()
        try:
            process.wait(scaled(STOP_TIMEOUT_SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    from aiohttp import web
    from localstripe.resources import store  # type: ignore[import-untyped]
    from localstripe.server import app  # type: ignore[import-untyped]

    store.dump_to_disk = lambda: None
    web.run_app(app, host=LOOPBACK, port=int(sys.argv[1]))


if __name__ == "__main__":
    main()
