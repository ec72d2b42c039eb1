"""What a payment is, and how one can fail."""

from __future__ import annotations

from dataclasses import dataclass

from services.platform.errors import PermanentError


class PaymentDeclined(PermanentError):  # noqa: N818  its name is read by people, in a state machine
    """The provider will not charge this payment method. `reason` is the provider's code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the payment was declined: {reason}")


class PaymentVoided(PermanentError):  # noqa: N818
    """The payment was called off before it was charged, and never will be."""


@dataclass(frozen=True)
class Charge:
    """Money that was taken; `amount_minor` in the currency's minor unit (cents)."""

    payment_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True)
class Refund:
    """Money that was given back."""

    refund_id: str
    payment_id: str
