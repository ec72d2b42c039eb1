"""The sandbox: a payment provider as a small HTTP process on loopback, with a book of its own and
signed webhooks. It keeps its promises as a real one does, and misbehaves on request: how, says the
name of the payment method (`Method`).

    POST /payments                  {order_id, amount_minor, currency, payment_method} -> a payment
    POST /payments/{id}/confirm     charges it: 200; 402 declined; 409 it was called off
    POST /payments/{id}/cancel      calls it off: 200; 409 it is charged
    POST /payments/{id}/refund      gives it back
    GET  /payments[?order_id=...]   the book
    GET  /health

Requests carry `Authorization: Bearer <key>`; the first may carry an Idempotency-Key.
"""

from __future__ import annotations

import argparse
import hmac
import http.client
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit

from services.local.emulator import LOOPBACK, free_port
from services.payments.configuration import Provider
from services.payments.webhooks import SIGNATURE_HEADERS, sign
from services.platform.errors import ConfigurationError, TransientError

API_KEY = "PAYMENT_PROVIDER_API_KEY"
WEBHOOK_SECRET = "PAYMENT_PROVIDER_WEBHOOK_SECRET"  # noqa: S105  the variable's name
# Longer than a client waits.
SLOW_SECONDS = 15.0
BODY_BYTES_MAX = 16 * 1024
WEBHOOK_TIMEOUT_SECONDS = 10
# Between deliveries that were not taken: doubled each time.
WEBHOOK_PAUSE_SECONDS, WEBHOOK_PAUSE_SECONDS_MAX = 0.5, 30.0
WEBHOOK_GIVE_UP_SECONDS = 3 * 24 * 3600
START_TIMEOUT_SECONDS = 15
STOP_TIMEOUT_SECONDS = 5


class Method(StrEnum):
    """What a customer can pay with, and what comes of it."""

    OK = "sandbox-ok"
    DECLINED = "sandbox-declined"
    TIMEOUT = "sandbox-timeout"
    """Charged, but answered when nobody listens any more. Asked again, it answers at once."""
    TIMEOUT_UNCHARGED = "sandbox-timeout-uncharged"
    """Not charged, and answered late. Asked again, it is charged."""
    TIMEOUT_ALWAYS = "sandbox-timeout-always"
    """Charged at once, and every answer is late."""
    UNAVAILABLE = "sandbox-unavailable"
    """Never charged: every answer is a 503."""
    DOUBLE = "sandbox-double"
    """The webhook is sent twice."""
    WEBHOOK_FIRST = "sandbox-webhook-first"
    """The webhook was taken before the charge is answered."""
    WEBHOOK_LOST = "sandbox-webhook-lost"
    """There is no webhook."""


class Status(StrEnum):
    OPEN = "open"
    CHARGED = "charged"
    DECLINED = "declined"
    CANCELLED = "cancelled"


_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY,
    key TEXT UNIQUE,
    order_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    status TEXT NOT NULL,
    confirmations INTEGER NOT NULL DEFAULT 0,
    refund_id TEXT
);
CREATE TABLE IF NOT EXISTS notices (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    copies INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    made_at REAL NOT NULL,
    due_at REAL NOT NULL
);
"""


@dataclass
class Book:
    """The provider's memory, in a file that outlives it. One thread at a time."""

    path: Path
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._sql = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._sql.row_factory = sqlite3.Row
        # What was answered is on the disk, also when the process is killed.
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.executescript(_SCHEMA)

    def execute(self, statement: str, values: Any = ()) -> list[dict[str, Any]]:
        with self.lock:
            return [dict(row) for row in self._sql.execute(statement, values)]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.lock:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")


# What a payment is opened with. Amounts are whole, in the currency's minor unit.
_FACTS = {"order_id": str, "amount_minor": int, "currency": str, "payment_method": str}


@dataclass(frozen=True)
class Answer:
    """`after_seconds`: how late it is."""

    status: int
    document: Any
    after_seconds: float = 0.0


@dataclass
class Bank:
    """What the provider does, without HTTP."""

    book: Book
    slow_seconds: float
    notices: Notices

    def open(self, wanted: dict[str, Any], key: str | None) -> Answer:
        try:
            facts = {name: wanted[name] for name in _FACTS}
        except (KeyError, TypeError) as error:
            return Answer(400, {"code": "invalid_request", "message": repr(error)})
        for name, type_ in _FACTS.items():
            if type(facts[name]) is not type_ or not facts[name]:
                return Answer(400, {"code": f"invalid_{name}"})
        if facts["amount_minor"] < 0:
            return Answer(400, {"code": "invalid_amount_minor"})
        if facts["payment_method"] not in {known.value for known in Method}:
            return Answer(402, {"code": "unknown_payment_method"})
        with self.book.transaction():
            found = self.book.execute("SELECT * FROM payments WHERE key = ?", [key]) if key else []
            if found:
                same = all(found[0][name] == value for name, value in facts.items())
                return Answer(200, found[0]) if same else Answer(400, {"code": "key_reused"})
            payment_id = f"pay_{uuid.uuid4().hex}"
            self.book.execute(
                "INSERT INTO payments (id, key, order_id, amount_minor, currency, payment_method, "
                "status) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [payment_id, key, *facts.values(), Status.OPEN.value],
            )
            return Answer(201, self._payment(payment_id))

    def confirm(self, payment_id: str) -> Answer:
        first: str | None = None
        with self.book.transaction():
            payment = self._payment(payment_id)
            if payment is None:
                return _no_payment(payment_id)
            method = Method(payment["payment_method"])
            again = payment["confirmations"] > 0
            self.book.execute(
                "UPDATE payments SET confirmations = confirmations + 1 WHERE id = ?", [payment_id]
            )
            late = 0.0
            if method is Method.TIMEOUT_ALWAYS or (method is Method.TIMEOUT and not again):
                late = self.slow_seconds
            if payment["status"] == Status.OPEN:
                if method is Method.UNAVAILABLE:
                    return Answer(503, {"code": "unavailable"})
                if method is Method.TIMEOUT_UNCHARGED and not again:
                    return Answer(504, {"code": "timeout"}, self.slow_seconds)
                declined = method is Method.DECLINED
                self._set(payment_id, Status.DECLINED if declined else Status.CHARGED)
                notice = self._note(payment_id, "payment.declined" if declined else None)
                if method is Method.WEBHOOK_FIRST:
                    first = notice
            payment = self._payment(payment_id)
        if first is not None:
            self.notices.wait_for(first, self.slow_seconds)
        match payment["status"]:
            case Status.CHARGED:
                return Answer(200, payment, late)
            case Status.DECLINED:
                return Answer(402, {"code": "card_declined"})
            case _:
                return Answer(409, {"code": "cancelled"})

    def cancel(self, payment_id: str) -> Answer:
        with self.book.transaction():
            payment = self._payment(payment_id)
            if payment is None:
                return _no_payment(payment_id)
            if payment["status"] == Status.CHARGED:
                return Answer(409, payment)
            if payment["status"] == Status.OPEN:
                self._set(payment_id, Status.CANCELLED)
            return Answer(200, self._payment(payment_id))

    def refund(self, payment_id: str) -> Answer:
        with self.book.transaction():
            payment = self._payment(payment_id)
            if payment is None:
                return _no_payment(payment_id)
            if payment["status"] != Status.CHARGED:
                return Answer(400, {"code": "not_charged"})
            if payment["refund_id"] is None:
                self.book.execute(
                    "UPDATE payments SET refund_id = ? WHERE id = ?",
                    [f"refund_{uuid.uuid4().hex}", payment_id],
                )
                self._note(payment_id, "payment.refunded")
            return Answer(200, self._payment(payment_id))

    def payments(self, order_id: str | None) -> Answer:
        where = "" if order_id is None else "WHERE order_id = ?"
        return Answer(
            200,
            {
                "payments": self.book.execute(
                    f"SELECT * FROM payments {where} ORDER BY rowid",  # noqa: S608  constants
                    [] if order_id is None else [order_id],
                )
            },
        )

    def _payment(self, payment_id: str) -> Any:
        found = self.book.execute("SELECT * FROM payments WHERE id = ?", [payment_id])
        return found[0] if found else None

    def _set(self, payment_id: str, status: Status) -> None:
        self.book.execute("UPDATE payments SET status = ? WHERE id = ?", [status.value, payment_id])

    def _note(self, payment_id: str, type_: str | None) -> str | None:
        """Has a webhook sent; its id. None: `payment.received`, as the method wants it."""
        payment = self._payment(payment_id)
        method = Method(payment["payment_method"])
        copies = 1
        if type_ is None:
            type_ = "payment.received"
            if method is Method.WEBHOOK_LOST:
                return None
            copies = 2 if method is Method.DOUBLE else 1
        return self.notices.add(type_, payment, copies)


@dataclass
class Notices:
    """Sends webhooks until they are taken (answered with a 2xx), in the order they are due."""

    book: Book
    url: str | None
    secret: str = field(repr=False)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, type_: str, payment: dict[str, Any], copies: int) -> str:
        notice_id, now = f"evt_{uuid.uuid4().hex}", time.time()
        facts = ("id", "order_id", "amount_minor", "currency")
        body = json.dumps(
            {
                "id": notice_id,
                "type": type_,
                "created": int(now),
                "payment": {name: payment[name] for name in facts},
            }
        )
        if self.url is not None:
            self.book.execute(
                "INSERT INTO notices (id, body, copies, made_at, due_at) VALUES (?, ?, ?, ?, ?)",
                [notice_id, body, copies, now, now],
            )
            with self._changed:
                self._changed.notify_all()
        return notice_id

    def wait_for(self, notice_id: str, seconds: float) -> None:
        """Returns when the notice was taken, or after so long."""
        give_up_at = time.monotonic() + seconds
        while self.book.execute("SELECT 1 FROM notices WHERE id = ?", [notice_id]):
            left = give_up_at - time.monotonic()
            if left <= 0:
                return
            # Never read the book while holding this lock: whoever writes in the book wants it too.
            with self._changed:
                self._changed.wait(min(left, 0.05))

    def send_forever(self) -> None:
        while True:
            due = self.book.execute("SELECT * FROM notices ORDER BY due_at LIMIT 1")
            pause = due[0]["due_at"] - time.time() if due else None
            if pause is not None and pause <= 0:
                self._deliver(due[0])
                continue
            with self._changed:
                # One may have come in between: looked for again after a short while at the latest.
                self._changed.wait(0.2 if pause is None else min(pause, 0.2))

    def _deliver(self, notice: dict[str, Any]) -> None:
        taken = _post(str(self.url), self.secret, notice["body"].encode())
        given_up = time.time() - notice["made_at"] > WEBHOOK_GIVE_UP_SECONDS
        if taken and notice["copies"] > 1:
            self.book.execute("UPDATE notices SET copies = copies - 1 WHERE id = ?", [notice["id"]])
        elif taken or given_up:
            self.book.execute("DELETE FROM notices WHERE id = ?", [notice["id"]])
        else:
            pause = min(
                WEBHOOK_PAUSE_SECONDS * 2 ** min(notice["failures"], 16), WEBHOOK_PAUSE_SECONDS_MAX
            )
            self.book.execute(
                "UPDATE notices SET failures = failures + 1, due_at = ? WHERE id = ?",
                [time.time() + pause, notice["id"]],
            )
        with self._changed:
            self._changed.notify_all()


def _post(url: str, secret: str, body: bytes) -> bool:
    """Sends one webhook, signed as of now; whether it was taken."""
    request = urllib.request.Request(  # noqa: S310  the lab's own address
        url,
        data=body,
        headers={
            "content-type": "application/json",
            SIGNATURE_HEADERS[Provider.SANDBOX]: sign(secret, body, time.time()),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return 200 <= int(answer.status) < 300
    except (OSError, http.client.HTTPException):
        return False


def _no_payment(payment_id: str) -> Answer:
    return Answer(404, {"code": "no_such_payment", "payment_id": payment_id})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bank: Bank
    api_key: str

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/health":
            self._send(Answer(200, {"status": "ok"}))
        elif not self._allowed():
            self._send(Answer(401, {"code": "wrong_api_key"}))
        elif parts.path == "/payments":
            self._send(self.bank.payments(parse_qs(parts.query).get("order_id", [None])[0]))
        else:
            self._send(Answer(404, {"code": "no_such_path"}))

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            self._send(Answer(413, {"code": "too_large"}))
            return
        body = self.rfile.read(length)
        if not self._allowed():
            self._send(Answer(401, {"code": "wrong_api_key"}))
            return
        match urlsplit(self.path).path.strip("/").split("/"):
            case ["payments"]:
                try:
                    wanted = json.loads(body)
                except ValueError:
                    wanted = None
                self._send(self.bank.open(wanted, self.headers.get("idempotency-key")))
            case ["payments", payment_id, "confirm"]:
                self._send(self.bank.confirm(payment_id))
            case ["payments", payment_id, "cancel"]:
                self._send(self.bank.cancel(payment_id))
            case ["payments", payment_id, "refund"]:
                self._send(self.bank.refund(payment_id))
            case _:
                self._send(Answer(404, {"code": "no_such_path"}))

    def _allowed(self) -> bool:
        given = self.headers.get("authorization", "").encode("latin-1")
        return hmac.compare_digest(given, f"Bearer {self.api_key}".encode())

    def _send(self, answer: Answer) -> None:
        time.sleep(answer.after_seconds)
        body = json.dumps(answer.document).encode()
        # Nobody may be there to read it: that is what being late is for.
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
    port: int, book: Path, webhook_url: str | None, slow_seconds: float, host: str = LOOPBACK
) -> None:
    """Answers until the process ends. Its secrets come from the environment."""
    missing = [name for name in (API_KEY, WEBHOOK_SECRET) if not os.environ.get(name)]
    if missing:
        raise ConfigurationError("payment provider", [f"{name} is not set" for name in missing])
    opened = Book(book)
    notices = Notices(opened, webhook_url, os.environ[WEBHOOK_SECRET])
    handler = type(
        "_BoundHandler",
        (_Handler,),
        {"bank": Bank(opened, slow_seconds, notices), "api_key": os.environ[API_KEY]},
    )
    threading.Thread(target=notices.send_forever, name="webhooks", daemon=True).start()
    with _Server((host, port), handler) as server:
        server.serve_forever()


@dataclass(frozen=True)
class PaymentProvider:
    """A running provider: its process, and what a client needs."""

    process: subprocess.Popen[bytes]
    port: int
    api_key: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def payments(self, order_id: str | None = None) -> list[dict[str, Any]]:
        """The provider's book, or what it has of one order."""
        query = "" if order_id is None else f"?order_id={order_id}"
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/payments{query}", headers={"authorization": f"Bearer {self.api_key}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)["payments"]
            return found


def start(
    port: int,
    book: Path,
    log_file: Path,
    *,
    api_key: str,
    webhook_secret: str,
    webhook_url: str | None = None,
    slow_seconds: float = SLOW_SECONDS,
) -> PaymentProvider:
    """Starts the provider on its `book` (a file; made if need be) and waits until it answers.

    Webhooks go to `webhook_url`, if there is one. Raises TransientError when it does not answer in
    time, with the end of its log.
    """
    options = ["--port", str(port), "--book", str(book), "--slow-seconds", str(slow_seconds)]
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
    """Ends the provider, at once: its book is right at any moment."""
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
    """A provider for the length of a `with` block, on a free port unless told."""
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="payment-provider", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--book", type=Path, required=True, help="SQLite file, made if need be")
    parser.add_argument("--webhook-url")
    parser.add_argument("--slow-seconds", type=float, default=SLOW_SECONDS)
    options = parser.parse_args()
    serve(options.port, options.book, options.webhook_url, options.slow_seconds, options.host)


if __name__ == "__main__":
    main()
