"""The HTTP client of the sandbox payment provider.

The provider is services/local/payment_sandbox; its documentation lists the payment methods and the
outcome of each.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from services.payments.model import Charge, PaymentDeclined, PaymentVoided, Refund
from services.platform.errors import ConfigurationError, PermanentError, TransientError


@dataclass(frozen=True)
class SandboxGateway:
    """A PaymentGateway that calls the sandbox at `url`."""

    url: str
    api_key: str = field(repr=False)
    timeout_seconds: float

    def open(
        self, order_id: str, amount_minor: int, currency: str, payment_method: str, key: str
    ) -> str:
        status, answer = self._ask(
            "/payments",
            {
                "order_id": order_id,
                "amount_minor": amount_minor,
                "currency": currency,
                "payment_method": payment_method,
            },
            key,
        )
        if status == 402:
            raise PaymentDeclined(answer["code"])
        return str(_expect(status, answer)["id"])

    def confirm(self, payment_id: str, key: str) -> Charge:
        status, answer = self._ask(f"/payments/{quote(payment_id)}/confirm", {}, key)
        if status == 402:
            raise PaymentDeclined(answer["code"])
        if status == 409:
            raise PaymentVoided(f"payment {payment_id} was cancelled")
        return _charge(_expect(status, answer))

    def cancel(self, payment_id: str) -> Charge | None:
        status, answer = self._ask(f"/payments/{quote(payment_id)}/cancel", {})
        if status == 409:
            return _charge(answer)
        _expect(status, answer)
        return None

    def refund(self, charge: Charge, key: str) -> Refund:
        status, answer = self._ask(f"/payments/{quote(charge.payment_id)}/refund", {}, key)
        return Refund(str(_expect(status, answer)["refund_id"]), charge.payment_id)

    def _ask(
        self, path: str, body: dict[str, Any], key: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and document of the response. Raises TransientError without a response, for a
        timeout, a throttle and a server error; ConfigurationError for a wrong API key."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=self.timeout_seconds
        )
        headers = {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        try:
            connection.request("POST", address.path + path, json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            document = json.loads(text)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TransientError(f"no response from the payment provider: {error!r}") from error
        finally:
            connection.close()
        if answer.status in (408, 425, 429) or answer.status >= 500:
            raise TransientError(f"the payment provider failed: {answer.status} {document}")
        if answer.status in (401, 403):
            raise ConfigurationError("payments", ["the payment provider rejects the API key"])
        return answer.status, document


def _expect(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    if status not in (200, 201):
        raise PermanentError(f"the payment provider refused the request: {status} {answer}")
    return answer


def _charge(payment: dict[str, Any]) -> Charge:
    return Charge(payment["id"], payment["amount_minor"], payment["currency"])
