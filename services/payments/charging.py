"""Charges an order once, and gives the money back once, whatever fails on the way.

What happened is kept in the idempotency table, in four records an order:
- `payment#<order>`: which payment of the provider's is the order's, or that it gets none any more.
  It is written before anything is charged, and no other payment is ever confirmed. So a second
  charge is impossible even if the provider has forgotten the key of the first.
- `charge#<order>`: the charge, or why there will be none.
- `refund#<order>`: the refund.
- `void#<order>`: that nothing is kept, and the refund if there had been a charge.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from services.payments.gateway import PaymentGateway
from services.payments.model import Charge, PaymentDeclined, PaymentVoided, Refund
from services.platform.errors import TransientError
from services.platform.idempotency import Completed, IdempotencyStore


@dataclass(frozen=True)
class Charging:
    """Takes money for orders. The records must be kept for longer than an order may take."""

    gateway: PaymentGateway
    idempotency: IdempotencyStore

    def charge(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str
    ) -> Charge:
        """Charges the order; the charge there was, if it was charged before, even if that was given
        back since.

        Raises PaymentDeclined and PaymentVoided, which stay so, and TransientError when the outcome
        is not known or somebody else is at it: ask again, with the same arguments.
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
            # Nobody knows whether there was a charge; the next to ask goes on from here, at once.
            with suppress(Exception):
                self.idempotency.abandon(claim)
            raise
        self.idempotency.complete(claim, outcome)
        return _charge(outcome)

    def refund(self, order_id: str, charge: Charge) -> Refund:
        """Gives the charge back; the refund there was, if it was given back before."""
        key = f"refund#{order_id}"
        found = self.idempotency.run_once(
            key,
            {"payment_id": charge.payment_id},
            lambda: dataclasses.asdict(self.gateway.refund(charge, key)),
        )
        return Refund(**found)

    def void(self, order_id: str) -> Refund | None:
        """Sees to it that no money of the order is kept, now or later: calls the payment off, or
        gives the charge back. May be called at any time, also when nothing was ever charged.

        Raises TransientError while that is not certain: ask again.
        """
        # From here on either the order's payment is known, or none will ever be confirmed.
        payment = self.idempotency.run_once(
            *_payment_record(order_id), lambda: {"payment_id": None}
        )
        if payment["payment_id"] is None:
            return None

        def work() -> dict[str, Any] | None:
            charge = self.gateway.cancel(payment["payment_id"])
            return None if charge is None else dataclasses.asdict(self.refund(order_id, charge))

        refund = self.idempotency.run_once(f"void#{order_id}", payment, work)
        return None if refund is None else Refund(**refund)

    def _attempt(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str, key: str
    ) -> dict[str, Any]:
        """What becomes of the charge, as it is recorded."""

        def open_payment() -> dict[str, Any]:
            return {
                "payment_id": self.gateway.open(
                    order_id, amount_minor, currency, payment_method, f"payment#{order_id}"
                )
            }

        try:
            payment = self.idempotency.run_once(*_payment_record(order_id), open_payment)
            if payment["payment_id"] is None:
                return {"voided": True}
            charge = self.gateway.confirm(payment["payment_id"], key)
        except PaymentDeclined as declined:
            return {"declined": declined.reason}
        except PaymentVoided:
            return {"voided": True}
        if (charge.amount_minor, charge.currency) != (amount_minor, currency):
            raise TransientError(
                f"expected a charge of {amount_minor} {currency}, the provider tells of {charge}"
            )
        return dataclasses.asdict(charge)


def _payment_record(order_id: str) -> tuple[str, dict[str, str]]:
    """Key and payload: without the amount, for whoever calls a payment off need not know it."""
    return f"payment#{order_id}", {"order_id": order_id}


def _charge(outcome: dict[str, Any]) -> Charge:
    if "declined" in outcome:
        raise PaymentDeclined(outcome["declined"])
    if "voided" in outcome:
        raise PaymentVoided("the payment was called off before it was charged")
    return Charge(**outcome)
