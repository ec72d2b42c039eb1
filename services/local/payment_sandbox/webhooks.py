"""Sends the payment sandbox's signed webhooks until the receiver accepts them."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

from services.local.payment_sandbox.ledger import Ledger
from services.payments.configuration import Provider
from services.payments.webhooks import SIGNATURE_HEADERS, sign

WEBHOOK_TIMEOUT_SECONDS = 10
# The pause after a failed delivery, doubled each time up to the second value.
WEBHOOK_PAUSE_SECONDS, WEBHOOK_PAUSE_SECONDS_MAX = 0.5, 30.0
WEBHOOK_GIVE_UP_SECONDS = 3 * 24 * 3600


@dataclass
class WebhookSender:
    """Sends webhooks in the order they are due, each until it is accepted with a 2xx."""

    ledger: Ledger
    url: str | None
    secret: str = field(repr=False)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, type_: str, payment: dict[str, Any], copies: int) -> str:
        webhook_id, now = f"evt_{uuid.uuid4().hex}", time.time()
        facts = ("id", "order_id", "amount_minor", "currency")
        body = json.dumps(
            {
                "id": webhook_id,
                "type": type_,
                "created": int(now),
                "payment": {name: payment[name] for name in facts},
            }
        )
        if self.url is not None:
            self.ledger.execute(
                "INSERT INTO webhooks (id, body, copies, made_at, due_at) VALUES (?, ?, ?, ?, ?)",
                [webhook_id, body, copies, now, now],
            )
            with self._changed:
                self._changed.notify_all()
        return webhook_id

    def wait_for(self, webhook_id: str, seconds: float) -> None:
        """Returns when the webhook was accepted, or after `seconds`."""
        give_up_at = time.monotonic() + seconds
        while self.ledger.execute("SELECT 1 FROM webhooks WHERE id = ?", [webhook_id]):
            left = give_up_at - time.monotonic()
            if left <= 0:
                return
            # Never read the ledger under this lock: its writers take the lock as well.
            with self._changed:
                self._changed.wait(min(left, 0.05))

    def send_forever(self) -> None:
        while True:
            due = self.ledger.execute("SELECT * FROM webhooks ORDER BY due_at LIMIT 1")
            pause = due[0]["due_at"] - time.time() if due else None
            if pause is not None and pause <= 0:
                self._deliver(due[0])
                continue
            with self._changed:
                # A webhook added since the query is found after 0.2 s at the latest.
                self._changed.wait(0.2 if pause is None else min(pause, 0.2))

    def _deliver(self, webhook: dict[str, Any]) -> None:
        accepted = _post(str(self.url), self.secret, webhook["body"].encode())
        given_up = time.time() - webhook["made_at"] > WEBHOOK_GIVE_UP_SECONDS
        if accepted and webhook["copies"] > 1:
            self.ledger.execute(
                "UPDATE webhooks SET copies = copies - 1 WHERE id = ?", [webhook["id"]]
            )
        elif accepted or given_up:
            self.ledger.execute("DELETE FROM webhooks WHERE id = ?", [webhook["id"]])
        else:
            pause = min(
                WEBHOOK_PAUSE_SECONDS * 2 ** min(webhook["failures"], 16), WEBHOOK_PAUSE_SECONDS_MAX
            )
            self.ledger.execute(
                "UPDATE webhooks SET failures = failures + 1, due_at = ? WHERE id = ?",
                [time.time() + pause, webhook["id"]],
            )
        with self._changed:
            self._changed.notify_all()


def _post(url: str, secret: str, body: bytes) -> bool:
    """Sends one webhook, signed with the current time. True if it was accepted."""
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
