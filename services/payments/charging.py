"""Charges an order once and refunds it once, whatever fails in between.

The idempotency table holds up to four records an order:
- `payment#<order>`: the provider's id of the order's payment, or that it never gets one. It is
  written before the payment is confirmed, and no other payment is ever confirmed. So a second
  charge is impossible even after the provider has forgotten the key of the first.
- `charge#<order>`: the charge, or the reason why there is none.
- `refund#<order>`: the refund.
- `void#<order>`: that the order costs the customer nothing, with the refund if it was charged.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from services.payments.model import (
    Charge,
    PaymentDeclined,
    PaymentGateway,
    PaymentVoided,
    Refund,
)
from services.platform import metrics, tracing
from services.platform.errors import TransientError
from services.platform.idempotency import Completed, IdempotencyStore
from services.platform.metrics import Metric


@dataclass(frozen=True)
class Charging:
    """Charges and refunds orders. The records must outlive the longest workflow of an order."""

    gateway: PaymentGateway
    idempotency: IdempotencyStore

    def charge(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str
    ) -> Charge:
        """Charges the order, or returns its charge, even one that was refunded since.

        Raises PaymentDeclined and PaymentVoided, which are final; TransientError while the outcome
        is unknown or another worker holds the claim: call again with the same arguments.
        """
        key = f"charge#{order_id}"
        claim = self.idempotency.claim(
            key,
            {
                "amount_minor": amount_minor,
                "currency": currency,
                "payment_method": payment_method,
            },
        )
        if isinstance(claim, Completed):
            return _charge(claim.result)
        try:
            outcome = self._attempt(order_id, amount_minor, currency, payment_method, key)
        except BaseException:
            # It is unknown whether the order was charged; the next call takes over at once.
            with suppress(Exception):
                self.idempotency.abandon(claim)
            raise
        self.idempotency.complete(claim, outcome)
        metrics.record(Metric.PAYMENTS, outcome=_outcome_name(outcome))
        return _charge(outcome)

    def refund(self, order_id: str, charge: Charge) -> Refund:
        """Refunds the charge, or returns its refund."""
        key = f"refund#{order_id}"

        def work() -> dict[str, Any]:
            with tracing.span("refund payment", tracing.Kind.CLIENT):
                refund = self.gateway.refund(charge, key)
            metrics.record(Metric.PAYMENTS, outcome="refunded")
            return dataclasses.asdict(refund)

        return Refund(**self.idempotency.run_once(key, {"payment_id": charge.payment_id}, work))

    def void(self, order_id: str) -> Refund | None:
        """Makes sure that the order costs the customer nothing: cancels its payment or refunds its
        charge, which it returns. May be called at any time, also for an order without a payment.

        Raises TransientError while that is not certain: call again.
        """
        # After this call either the order's payment is known, or none is ever confirmed.
        payment = self.idempotency.run_once(
            *_payment_record(order_id), lambda: {"payment_id": None}
        )
        if payment["payment_id"] is None:
            return None

        def work() -> dict[str, Any] | None:
            with tracing.span("cancel payment", tracing.Kind.CLIENT):
                charge = self.gateway.cancel(payment["payment_id"])
            return None if charge is None else dataclasses.asdict(self.refund(order_id, charge))

        refund = self.idempotency.run_once(f"void#{order_id}", payment, work)
        return None if refund is None else Refund(**refund)

    def _attempt(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str, key: str
    ) -> dict[str, Any]:
        """Charges the order and returns the outcome as it is recorded."""

        def open_payment() -> dict[str, Any]:
            with tracing.span("open payment", tracing.Kind.CLIENT):
                payment_id = self.gateway.open(
                    order_id, amount_minor, currency, payment_method, f"payment#{order_id}"
                )
            return {"payment_id": payment_id}

        try:
            payment = self.idempotency.run_once(*_payment_record(order_id), open_payment)
            if payment["payment_id"] is None:
                return {"voided": True}
            with tracing.span("confirm payment", tracing.Kind.CLIENT):
                charge = self.gateway.confirm(payment["payment_id"], key)
        except PaymentDeclined as declined:
            return {"declined": declined.reason}
        except PaymentVoided:
            return {"voided": True}
        if (charge.amount_minor, charge.currency) != (amount_minor, currency):
            raise TransientError(
                f"expected a charge of {amount_minor} {currency}, the provider reports {charge}"
            )
        return dataclasses.asdict(charge)


def _payment_record(order_id: str) -> tuple[str, dict[str, str]]:
    """Key and payload of the record. Without the amount: `void` does not know it."""
    return f"payment#{order_id}", {"order_id": order_id}


def _outcome_name(outcome: dict[str, Any]) -> str:
    return "declined" if "declined" in outcome else "voided" if "voided" in outcome else "charged"


def _charge(outcome: dict[str, Any]) -> Charge:
    if "declined" in outcome:
        raise PaymentDeclined(outcome["declined"])
    if "voided" in outcome:
        raise PaymentVoided("the payment was cancelled before it was charged")
    return Charge(**outcome)
