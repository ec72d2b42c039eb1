"""A payment provider as an HTTP process on loopback, with its own storage and signed webhooks.

    POST /payments                  {order_id, amount_minor, currency, payment_method} -> a payment
    POST /payments/{id}/confirm     charges it: 200; 402 declined; 409 cancelled
    POST /payments/{id}/cancel      cancels it: 200; 409 already charged
    POST /payments/{id}/refund      refunds it
    GET  /payments[?order_id=...]   lists payments
    GET  /health

Requests carry `Authorization: Bearer <key>`; the first may carry an Idempotency-Key. The payment
method selects the behaviour (`Method` in service.py): success, decline, timeouts, lost webhooks.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from services.local.emulator import LOOPBACK
from services.local.payment_sandbox.ledger import Ledger
from services.local.payment_sandbox.service import PaymentService, Response
from services.local.payment_sandbox.webhooks import WebhookSender
from services.platform.errors import ConfigurationError

API_KEY = "PAYMENT_PROVIDER_API_KEY"
WEBHOOK_SECRET = "PAYMENT_PROVIDER_WEBHOOK_SECRET"  # noqa: S105  the variable's name
# Longer than a client waits.
SLOW_SECONDS = 15.0
BODY_BYTES_MAX = 16 * 1024


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: PaymentService
    api_key: str

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/health":
            self._send(Response(200, {"status": "ok"}))
        elif not self._allowed():
            self._send(Response(401, {"code": "wrong_api_key"}))
        elif parts.path == "/payments":
            self._send(self.service.payments(parse_qs(parts.query).get("order_id", [None])[0]))
        else:
            self._send(Response(404, {"code": "no_such_path"}))

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            self._send(Response(413, {"code": "too_large"}))
            return
        body = self.rfile.read(length)
        if not self._allowed():
            self._send(Response(401, {"code": "wrong_api_key"}))
            return
        match urlsplit(self.path).path.strip("/").split("/"):
            case ["payments"]:
                try:
                    wanted = json.loads(body)
                except ValueError:
                    wanted = None
                self._send(self.service.open(wanted, self.headers.get("idempotency-key")))
            case ["payments", payment_id, "confirm"]:
                self._send(self.service.confirm(payment_id))
            case ["payments", payment_id, "cancel"]:
                self._send(self.service.cancel(payment_id))
            case ["payments", payment_id, "refund"]:
                self._send(self.service.refund(payment_id))
            case _:
                self._send(Response(404, {"code": "no_such_path"}))

    def _allowed(self) -> bool:
        given = self.headers.get("authorization", "").encode("latin-1")
        return hmac.compare_digest(given, f"Bearer {self.api_key}".encode())

    def _send(self, answer: Response) -> None:
        time.sleep(answer.after_seconds)
        body = json.dumps(answer.document).encode()
        # The client of a late response may have left.
        with suppress(ConnectionError):
            self.send_response(answer.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  its name there
        sys.stderr.write(f"{self.log_date_time_string()} {format % arguments}\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(
    port: int, ledger: Path, webhook_url: str | None, slow_seconds: float, host: str = LOOPBACK
) -> None:
    """Serves until the process ends. Secrets come from the environment."""
    missing = [name for name in (API_KEY, WEBHOOK_SECRET) if not os.environ.get(name)]
    if missing:
        raise ConfigurationError("payment provider", [f"{name} is not set" for name in missing])
    opened = Ledger(ledger)
    webhooks = WebhookSender(opened, webhook_url, os.environ[WEBHOOK_SECRET])
    handler = type(
        "_BoundHandler",
        (_Handler,),
        {"service": PaymentService(opened, slow_seconds, webhooks), "api_key": os.environ[API_KEY]},
    )
    threading.Thread(target=webhooks.send_forever, name="webhooks", daemon=True).start()
    with _Server((host, port), handler) as server:
        server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="payment-provider", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--ledger", type=Path, required=True, help="SQLite file; created if missing"
    )
    parser.add_argument("--webhook-url")
    parser.add_argument("--slow-seconds", type=float, default=SLOW_SECONDS)
    options = parser.parse_args()
    serve(options.port, options.ledger, options.webhook_url, options.slow_seconds, options.host)
