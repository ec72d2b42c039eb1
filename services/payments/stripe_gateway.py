"""Stripe, through its SDK: a payment is a PaymentIntent, made first and confirmed after.

https://docs.stripe.com/payments/paymentintents/lifecycle

Its SDK is imported by the function that needs it, for it takes 120 ms of a cold start's CPU and
more. Stripe forgets idempotency keys after a day; nothing here depends on them for longer than a
request is on its way, for a PaymentIntent that succeeded or was cancelled stays so.
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
# Among a payment's metadata.
_DECLINED = "declined"


@dataclass(frozen=True)
class StripeGateway:
    """Asks Stripe, or what answers like Stripe at `url`. A PaymentGateway."""

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
                    # Without it Stripe may offer methods that need a page to come back to.
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
            # It cannot be confirmed as it stands: then it was, or it never will be.
            intent = self._retrieve(payment_id)
        except TransientError as error:
            if not isinstance(error.__cause__, stripe.APIError):
                raise
            # A failure inside Stripe comes back for a day under the same key, whatever became of
            # the payment: https://docs.stripe.com/api/idempotent_requests
            intent = self._retrieve(payment_id)
        match intent.status:
            case "succeeded":
                return _charge(intent)
            case "canceled":
                # Called off, or declined before: the reason of that is kept with it.
                if (kept := _decline_of(intent)) is not None:
                    raise PaymentDeclined(kept)
                raise PaymentVoided(f"payment {payment_id} was called off")
            case "requires_payment_method":
                reason = reason or _decline_of(intent) or "card_declined"
            case "requires_action":
                # A page of the bank's: nobody is there to look at it.
                reason = _AUTHENTICATION_REQUIRED
            case other:
                raise TransientError(f"Stripe has not decided about {payment_id} yet: {other}")
        # What the payment itself says of it may be gone with the next change, and it says nothing
        # of a page that nobody looked at.
        with suppress(stripe.InvalidRequestError):  # called off by another attempt
            self._ask(self._intents.update, payment_id, {"metadata": {_DECLINED: reason}})
        # So that it stays declined, whatever is still on its way to Stripe.
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
            raise TransientError(f"Stripe did not call {payment_id} off: it is {intent.status}")
        return None

    def refund(self, charge: Charge, key: str) -> Refund:
        # Looked for first: after a day Stripe has forgotten the key.
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
        """The answer to what Stripe has no reason to refuse."""
        import stripe

        try:
            return self._ask(call, *arguments)
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            raise PermanentError(f"expected Stripe to agree, it says {error}") from error

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """The answer. CardError and InvalidRequestError are the caller's."""
        import stripe

        try:
            return call(*arguments)
        except (stripe.CardError, stripe.InvalidRequestError):
            raise
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            raise ConfigurationError(
                "payments", [f"expected an API key that may take payments, Stripe says {error}"]
            ) from error
        except stripe.IdempotencyError as error:
            raise PermanentError(
                f"expected the same request with the same idempotency key, Stripe says {error}"
            ) from error
        except stripe.StripeError as error:
            # Lost, throttled, in trouble, or the same key is being worked on: not known.
            raise TransientError(f"Stripe did not answer: {error}") from error


@functools.cache
def _client(api_key: str, timeout_seconds: float, url: str | None) -> StripeClient:
    import stripe

    return stripe.StripeClient(
        api_key,
        # Tried again by whoever asked, with the order's state in view.
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=timeout_seconds),
        base_addresses={"api": url} if url else {},
    )


def _charge(intent: Any) -> Charge:
    return Charge(str(intent.id), int(intent.amount), str(intent.currency).upper())


def _decline_of(intent: Any) -> str | None:
    """Why the payment was declined, if it was."""
    kept = getattr(getattr(intent, "metadata", None), _DECLINED, None)
    if kept:
        return str(kept)
    error = getattr(intent, "last_payment_error", None)
    if not error:
        return None
    codes = (getattr(error, name, None) for name in ("decline_code", "code"))
    return str(next(filter(None, codes), "card_declined"))
