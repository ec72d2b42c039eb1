"""Calls Stripe through its SDK. A payment is a PaymentIntent: created first, confirmed later.

https://docs.stripe.com/payments/paymentintents/lifecycle

The SDK is imported inside functions, since it adds more than 120 ms of CPU to a cold start. Stripe
forgets idempotency keys after a day. Nothing here needs a key for longer than one request takes:
a PaymentIntent that succeeded or was cancelled stays so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.payments.model import Charge, PaymentDeclined, PaymentVoided, Refund
from services.platform.errors import ConfigurationError, PermanentError, TransientError

if TYPE_CHECKING:
    from stripe import StripeClient

_AUTHENTICATION_REQUIRED = "authentication_required"
# The metadata key that stores why a payment was declined.
_DECLINED = "declined"


@dataclass(frozen=True)
class StripeGateway:
    """A PaymentGateway that calls Stripe, or a Stripe-compatible server at `url`."""

    api_key: str = field(repr=False)
    timeout_seconds: float
    url: str | None = None

    def open(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str, key: str
    ) -> str:
        import stripe

        try:
            intent = self._ask(
                self._intents.create,
                {
                    "amount": amount_minor,
                    "currency": currency.lower(),
                    "payment_method": payment_method,
                    # Other types may redirect the customer to a page of their own.
                    "payment_method_types": ["card"],
                    "metadata": {"order_id": order_id},
                },
                {"idempotency_key": key},
            )
        except stripe.CardError as error:
            raise PaymentDeclined(str(error.code or "card_declined")) from None
        except stripe.InvalidRequestError as error:
            if error.http_status == 404 or error.code == "resource_missing":
                raise PaymentDeclined("unknown_payment_method") from None
            raise PermanentError(f"Stripe refused to open a payment: {error}") from error
        return str(intent.id)

    def confirm(self, payment_id: str, key: str) -> Charge:
        import stripe

        reason = ""
        try:
            intent = self._ask(self._intents.confirm, payment_id, {}, {"idempotency_key": key})
        except stripe.CardError as error:
            intent = self._retrieve(payment_id)
            reason = _decline_of(intent) or str(error.code or "card_declined")
        except stripe.InvalidRequestError:
            # It was confirmed or cancelled before; its status shows which.
            intent = self._retrieve(payment_id)
        except TransientError as error:
            if not isinstance(error.__cause__, stripe.APIError):
                raise
            # Stripe repeats an internal error for the same key for a day, whatever the payment's
            # status is: https://docs.stripe.com/api/idempotent_requests
            intent = self._retrieve(payment_id)
        match intent.status:
            case "succeeded":
                return _charge(intent)
            case "canceled":
                # Cancelled by `cancel`, or after a decline, which left its reason in the metadata.
                if (declined := _decline_of(intent)) is not None:
                    raise PaymentDeclined(declined)
                raise PaymentVoided(f"payment {payment_id} was cancelled")
            case "requires_payment_method":
                reason = reason or _decline_of(intent) or "card_declined"
            case "requires_action":
                # The bank asks the customer to authenticate, which this workflow cannot offer.
                reason = _AUTHENTICATION_REQUIRED
            case other:
                raise TransientError(f"Stripe is still processing payment {payment_id}: {other}")
        # `last_payment_error` may be cleared by the next change, and is empty for a payment that
        # requires authentication.
        with suppress(stripe.InvalidRequestError):  # cancelled by another attempt
            self._ask(self._intents.update, payment_id, {"metadata": {_DECLINED: reason}})
        # Makes the decline final, whatever request is still on its way to Stripe.
        late = self.cancel(payment_id)
        if late is not None:
            return late
        raise PaymentDeclined(reason)

    def cancel(self, payment_id: str) -> Charge | None:
        import stripe

        try:
            intent = self._ask(self._intents.cancel, payment_id)
        except stripe.InvalidRequestError:
            intent = self._retrieve(payment_id)
        if intent.status == "succeeded":
            return _charge(intent)
        if intent.status != "canceled":
            raise TransientError(f"Stripe did not cancel {payment_id}: it is {intent.status}")
        return None

    def refund(self, charge: Charge, key: str) -> Refund:
        # Stripe forgets the key after a day; an existing refund must not be made twice.
        found = self._agreed(
            self._client.v1.refunds.list, {"payment_intent": charge.payment_id, "limit": 10}
        )
        for refund in found.data:
            if refund.status not in ("failed", "canceled"):
                return Refund(str(refund.id), charge.payment_id)
        made = self._agreed(
            self._client.v1.refunds.create,
            {"payment_intent": charge.payment_id, "metadata": {"key": key}},
            {"idempotency_key": key},
        )
        return Refund(str(made.id), charge.payment_id)

    def _retrieve(self, payment_id: str) -> Any:
        return self._agreed(self._intents.retrieve, payment_id)

    @property
    def _intents(self) -> Any:
        return self._client.v1.payment_intents

    @property
    def _client(self) -> StripeClient:
        return _client(self.api_key, self.timeout_seconds, self.url)

    def _agreed(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """As `_ask`, for a request that Stripe has no reason to refuse. Raises PermanentError."""
        import stripe

        try:
            return self._ask(call, *arguments)
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            raise PermanentError(f"Stripe refused the request: {error}") from error

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Calls Stripe and translates its errors, except CardError and InvalidRequestError."""
        import stripe

        try:
            return call(*arguments)
        except (stripe.CardError, stripe.InvalidRequestError):
            raise
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            raise ConfigurationError(
                "payments", [f"Stripe rejects the API key: {error}"]
            ) from error
        except stripe.IdempotencyError as error:
            raise PermanentError(
                f"the idempotency key was used with another request: {error}"
            ) from error
        except stripe.StripeError as error:
            # A lost connection, a throttle, a server error, or a concurrent request with the key:
            # the outcome is unknown.
            raise TransientError(f"no response from Stripe: {error}") from error


@functools.cache
def _client(api_key: str, timeout_seconds: float, url: str | None) -> StripeClient:
    import stripe

    return stripe.StripeClient(
        api_key,
        # The caller retries, since it knows the order's state.
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=timeout_seconds),
        base_addresses={"api": url} if url else {},
    )


def _charge(intent: Any) -> Charge:
    return Charge(str(intent.id), int(intent.amount), str(intent.currency).upper())


def _decline_of(intent: Any) -> str | None:
    """Why the payment was declined, if it was."""
    stored = getattr(getattr(intent, "metadata", None), _DECLINED, None)
    if stored:
        return str(stored)
    error = getattr(intent, "last_payment_error", None)
    if not error:
        return None
    codes = (getattr(error, name, None) for name in ("decline_code", "code"))
    return str(next(filter(None, codes), "card_declined"))
