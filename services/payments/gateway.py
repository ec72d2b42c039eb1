"""What is asked of a payment provider.

A payment is opened first, which takes no money, and then confirmed, which does. Whoever knows a
payment's id can always find out what became of it, so that no outcome stays unknown: a payment is
charged once at most however often it is confirmed, and one that was called off is never charged,
whatever is still on its way to the provider.
"""

from __future__ import annotations

from typing import Protocol

from services.payments.model import Charge, Refund


class PaymentGateway(Protocol):
    """A provider. Every method raises TransientError when the outcome is not known (a timeout, a
    lost connection, the provider in trouble) and may then be repeated with the same key."""

    def open(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str, key: str
    ) -> str:
        """The id of a payment that is not charged yet; the same key gives the same payment, for as
        long as the provider remembers it. Raises PaymentDeclined for a method it does not take."""

    def confirm(self, payment_id: str, key: str) -> Charge:
        """Charges the payment, or tells that it was charged. Raises PaymentDeclined, after which it
        will never be charged, and PaymentVoided."""

    def cancel(self, payment_id: str) -> Charge | None:
        """Calls the payment off. The charge, when it was too late; it is then as it was."""

    def refund(self, charge: Charge, key: str) -> Refund:
        """Gives the whole charge back, once however often it is asked."""
