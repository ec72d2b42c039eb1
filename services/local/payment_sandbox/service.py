"""The payment sandbox without HTTP: opens, charges, cancels and refunds payments."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.local.payment_sandbox.ledger import Ledger
from services.local.payment_sandbox.webhooks import WebhookSender


class Method(StrEnum):
    """Payment methods; each selects a behaviour of the sandbox."""

    OK = "sandbox-ok"
    DECLINED = "sandbox-declined"
    TIMEOUT = "sandbox-timeout"
    """Charged; the response comes after the client's timeout. A repetition is answered at once."""
    TIMEOUT_UNCHARGED = "sandbox-timeout-uncharged"
    """Not charged; the response comes late. A repetition is charged."""
    TIMEOUT_ALWAYS = "sandbox-timeout-always"
    """Charged at once; every response comes late."""
    UNAVAILABLE = "sandbox-unavailable"
    """Never charged: every response is a 503."""
    DOUBLE = "sandbox-double"
    """The webhook is sent twice."""
    WEBHOOK_FIRST = "sandbox-webhook-first"
    """The webhook is accepted before the charge is answered."""
    WEBHOOK_LOST = "sandbox-webhook-lost"
    """No webhook is sent."""


class Status(StrEnum):
    OPEN = "open"
    CHARGED = "charged"
    DECLINED = "declined"
    CANCELLED = "cancelled"


# The fields of a new payment. Amounts are integers in the currency's minor unit.
_FACTS = {"order_id": str, "amount_minor": int, "currency": str, "payment_method": str}


@dataclass(frozen=True)
class Response:
    """An HTTP response, delayed by `after_seconds`."""

    status: int
    document: Any
    after_seconds: float = 0.0


@dataclass
class PaymentService:
    """Opens, charges, cancels and refunds payments; each method returns the HTTP response."""

    ledger: Ledger
    slow_seconds: float
    webhooks: WebhookSender

    def open(self, wanted: dict[str, Any], key: str | None) -> Response:
        try:
            facts = {name: wanted[name] for name in _FACTS}
        except (KeyError, TypeError) as error:
            return Response(400, {"code": "invalid_request", "message": repr(error)})
        for name, type_ in _FACTS.items():
            if type(facts[name]) is not type_ or not facts[name]:
                return Response(400, {"code": f"invalid_{name}"})
        if facts["amount_minor"] < 0:
            return Response(400, {"code": "invalid_amount_minor"})
        if facts["payment_method"] not in {known.value for known in Method}:
            return Response(402, {"code": "unknown_payment_method"})
        with self.ledger.transaction():
            found = (
                self.ledger.execute("SELECT * FROM payments WHERE key = ?", [key]) if key else []
            )
            if found:
                same = all(found[0][name] == value for name, value in facts.items())
                return Response(200, found[0]) if same else Response(400, {"code": "key_reused"})
            payment_id = f"pay_{uuid.uuid4().hex}"
            self.ledger.execute(
                "INSERT INTO payments (id, key, order_id, amount_minor, currency, payment_method, "
                "status) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [payment_id, key, *facts.values(), Status.OPEN.value],
            )
            return Response(201, self._payment(payment_id))

    def confirm(self, payment_id: str) -> Response:
        first: str | None = None
        with self.ledger.transaction():
            payment = self._payment(payment_id)
            if payment is None:
                return _no_payment(payment_id)
            method = Method(payment["payment_method"])
            again = payment["confirmations"] > 0
            self.ledger.execute(
                "UPDATE payments SET confirmations = confirmations + 1 WHERE id = ?", [payment_id]
            )
            late = 0.0
            if method is Method.TIMEOUT_ALWAYS or (method is Method.TIMEOUT and not again):
                late = self.slow_seconds
            if payment["status"] == Status.OPEN:
                if method is Method.UNAVAILABLE:
                    return Response(503, {"code": "unavailable"})
                if method is Method.TIMEOUT_UNCHARGED and not again:
                    return Response(504, {"code": "timeout"}, self.slow_seconds)
                declined = method is Method.DECLINED
                self._set(payment_id, Status.DECLINED if declined else Status.CHARGED)
                webhook = self._send_webhook(payment_id, "payment.declined" if declined else None)
                if method is Method.WEBHOOK_FIRST:
                    first = webhook
            payment = self._payment(payment_id)
        if first is not None:
            self.webhooks.wait_for(first, self.slow_seconds)
        match payment["status"]:
            case Status.CHARGED:
                return Response(200, payment, late)
            case Status.DECLINED:
                return Response(402, {"code": "card_declined"})
            case _:
                return Response(409, {"code": "cancelled"})

    def cancel(self, payment_id: str) -> Response:
        with self.ledger.transaction():
            payment = self._payment(payment_id)
            if payment is None:
                return _no_payment(payment_id)
            if payment["status"] == Status.CHARGED:
                return Response(409, payment)
            if payment["status"] == Status.OPEN:
                self._set(payment_id, Status.CANCELLED)
            return Response(200, self._payment(payment_id))

    def refund(self, payment_id: str) -> Response:
        with self.ledger.transaction():
            payment = self._payment(payment_id)
            if payment is None:
                return _no_payment(payment_id)
            if payment["status"] != Status.CHARGED:
                return Response(400, {"code": "not_charged"})
            if payment["refund_id"] is None:
                self.ledger.execute(
                    "UPDATE payments SET refund_id = ? WHERE id = ?",
                    [f"refund_{uuid.uuid4().hex}", payment_id],
                )
                self._send_webhook(payment_id, "payment.refunded")
            return Response(200, self._payment(payment_id))

    def payments(self, order_id: str | None) -> Response:
        where = "" if order_id is None else "WHERE order_id = ?"
        return Response(
            200,
            {
                "payments": self.ledger.execute(
                    f"SELECT * FROM payments {where} ORDER BY rowid",  # noqa: S608  constants
                    [] if order_id is None else [order_id],
                )
            },
        )

    def _payment(self, payment_id: str) -> Any:
        found = self.ledger.execute("SELECT * FROM payments WHERE id = ?", [payment_id])
        return found[0] if found else None

    def _set(self, payment_id: str, status: Status) -> None:
        self.ledger.execute(
            "UPDATE payments SET status = ? WHERE id = ?", [status.value, payment_id]
        )

    def _send_webhook(self, payment_id: str, type_: str | None) -> str | None:
        """Queues a webhook and returns its id. `type_` None: `payment.received`, as often as the
        payment method asks for."""
        payment = self._payment(payment_id)
        method = Method(payment["payment_method"])
        copies = 1
        if type_ is None:
            type_ = "payment.received"
            if method is Method.WEBHOOK_LOST:
                return None
            copies = 2 if method is Method.DOUBLE else 1
        return self.webhooks.add(type_, payment, copies)


def _no_payment(payment_id: str) -> Response:
    return Response(404, {"code": "no_such_payment", "payment_id": payment_id})
