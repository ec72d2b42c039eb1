"""Payments: values, errors, and the protocol that every payment provider implements.

A payment is opened first, which charges nothing, and then confirmed, which does. Its id suffices to
find out its state at any time. A payment is charged at most once, however often it is confirmed,
and a cancelled payment is never charged, even by a request that is still on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.platform.errors import PermanentError


class PaymentDeclined(PermanentError):  # noqa: N818  the state machine catches errors by class name
    """The provider does not charge this payment method. `reason` is the provider's code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the payment was declined: {reason}")


class PaymentVoided(PermanentError):  # noqa: N818
    """The payment was cancelled before it was charged, and never will be charged."""


@dataclass(frozen=True)
class Charge:
    """A charged payment; `amount_minor` in the currency's minor unit (cents)."""

    payment_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True)
class Refund:
    """A refunded payment."""

    refund_id: str
    payment_id: str


class PaymentGateway(Protocol):
    """A payment provider.

    Every method raises TransientError while the outcome is unknown (a timeout, a lost connection,
    an error of the provider) and may then be repeated with the same key.
    """

    def open(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str, key: str
    ) -> str:
        """Creates an uncharged payment and returns its id. The same key returns the same payment
        while the provider remembers the key. Raises PaymentDeclined for an unknown method."""

    def confirm(self, payment_id: str, key: str) -> Charge:
        """Charges the payment, or returns the charge that exists.

        Raises PaymentDeclined, after which the payment is never charged, and PaymentVoided.
        """

    def cancel(self, payment_id: str) -> Charge | None:
        """Cancels the payment. Returns the charge, unchanged, if it was charged before."""

    def refund(self, charge: Charge, key: str) -> Refund:
        """Refunds the whole charge, once, however often it is called."""
